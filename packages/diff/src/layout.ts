import { FitdocError, MASK_SIZE, PAGE_SIZE } from '@fitdoc/interface';

/** Where the control words lie in a shard's memory; the kernel's own data, if any, lies below. */
export const CONTROL_OFFSET = 1024;
/** Value of the first control word: this layout. */
export const LAYOUT_VERSION = 0x6664_0002;

/** Index of each control word (u32) from CONTROL_OFFSET. `assembly/index.ts` holds the same numbers. */
export const CONTROL = {
  version: 0,
  pages: 1,
  touched: 2,
  zero: 3,
  pending: 4,
  placed: 5,
  changed: 6,
  staged: 7,
  slotOf: 8,
  masks: 9,
  image: 10,
  slotPage: 11,
  slots: 12,
  slotCount: 13,
  blocks: 14,
  /** A u64 counter: words changed in this capture. */
  changedWords: 16,
  /** One bit a scratch block that some thread holds. */
  blockLocks: 18,
} as const;

/** Scratch blocks a shard: as many threads can gather from it at once; more fall back to the slow way. */
export const BLOCK_COUNT = 32;
/** Offsets inside a scratch block. Word 0 is the index of the next page that `words` would write. */
export const BLOCK = { next: 0, list: 64, kinds: 4160, masks: 5184, words: 70720, size: 143360 } as const;

/** Byte offsets of the parts of a shard's memory; bitmaps have one bit a page in little-endian u32 words. */
export interface Layout {
  readonly pages: number;
  readonly slotCount: number;
  readonly bitmapWords: number;
  /** Pages whose image was ever written; others are zero and cost no memory. */
  readonly touched: number;
  /** Touched pages known to be all zero. */
  readonly zero: number;
  readonly pending: number;
  readonly placed: number;
  readonly changed: number;
  readonly staged: number;
  /** u32 a page: the staging slot that holds the page's new content, plus one; 0 for none. */
  readonly slotOf: number;
  readonly masks: number;
  /** u32 a slot: the page whose content it holds. */
  readonly slotPage: number;
  readonly blocks: number;
  readonly image: number;
  readonly slots: number;
  readonly bytes: number;
}

const MEMORY_LIMIT = 2 ** 32 - 65536;
const FIRST_PART = 8192;

/** Addresses that agree in the bits below this put each other out of the first-level cache on current processors. */
export const ALIAS_BYTES = 256 * 2 ** 20;
/** How far from such a distance staging is kept: an odd number of pages, so that no power of two undoes it. */
export const SKEW_PAGES = 5;

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Bytes of a shard's memory (of which only what is touched is ever committed). */
export function shardBytes(pages: number, slotCount: number): number {
  return layoutOf(pages, slotCount).bytes;
}

/** The layout for `pages` image pages and `slotCount` staging slots. */
export function layoutOf(pages: number, slotCount: number): Layout {
  let end = FIRST_PART;
  const part = (bytes: number, unit = 64): number => {
    const start = roundUp(end, unit);
    end = start + bytes;
    return start;
  };
  /** Where staging may begin: a page of a full harvest is compared with the slot of the same number. */
  const skewed = (image: number): void => {
    const skew = SKEW_PAGES * PAGE_SIZE;
    const off = (roundUp(end, PAGE_SIZE) - image + skew) % ALIAS_BYTES;
    if (off < 2 * skew) end = roundUp(end, PAGE_SIZE) + 2 * skew - off;
  };
  const bitmapWords = roundUp(pages, 32) / 32;
  const bitmap = (): number => part(bitmapWords * 4);
  const before = {
    touched: bitmap(),
    zero: bitmap(),
    pending: bitmap(),
    placed: bitmap(),
    changed: bitmap(),
    staged: bitmap(),
    slotOf: part(pages * 4),
    masks: part(pages * MASK_SIZE),
    slotPage: part(slotCount * 4),
    blocks: part(BLOCK_COUNT * BLOCK.size, PAGE_SIZE),
    image: part(pages * PAGE_SIZE, PAGE_SIZE),
  };
  skewed(before.image);
  const slots = part(slotCount * PAGE_SIZE, PAGE_SIZE);
  return { pages, slotCount, bitmapWords, ...before, slots, bytes: roundUp(end, 65536) };
}

/** Fails with ARGUMENT_INVALID when a shard would not fit what a 32-bit WebAssembly memory can address. */
export function checkShardFits(pages: number, slotCount: number): void {
  if (shardBytes(pages, slotCount) <= MEMORY_LIMIT) return;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `A shard of ${pages} pages with ${slotCount} staging pages exceeds 4 GiB, the limit of a WebAssembly memory.`,
    { hint: 'Lower shardPages or stagingPages.' },
  );
}
