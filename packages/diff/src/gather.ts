import {
  KIND_UNCHANGED,
  KIND_WHOLE,
  KIND_WORDS,
  MAX_BATCH_PAGES,
  PAGE_SIZE,
  type PageBatch,
} from '@fitdoc/interface';
import { BLOCK, BLOCK_COUNT, CONTROL } from './layout.js';
import type { GatherKernel } from './kernel.js';
import type { Shard } from './shard.js';
import type { Segment } from './segment.js';
import { gatherPlainly } from './twin-gather.js';

/** Words from which on a page costs as much as words with their mask as it does whole. */
export const WHOLE_ABOVE = (PAGE_SIZE - 64) / 8 - 1;

/** Where the large columns of a batch are put. */
export interface ColumnMemory {
  readonly words: Take;
  readonly pages: Take;
}

/** The columns of one shard's part of a batch. */
export function gatherSegment(segment: Segment, wholeAbove: number, memory: ColumnMemory): PageBatch {
  const { shard } = segment;
  const kernel = shard.kernel.gather;
  const lock = kernel ? acquireBlock(shard) : -1;
  if (!kernel || lock < 0) return gatherPlainly(segment, wholeAbove);
  try {
    return fromBlock(segment, kernel, shard.layout.blocks + lock * BLOCK.size, wholeAbove, memory);
  } finally {
    Atomics.and(shard.control, CONTROL.blockLocks, ~(1 << lock));
  }
}

function acquireBlock(shard: Shard): number {
  for (let lock = 0; lock < BLOCK_COUNT; lock++) {
    const bit = (1 << lock) >>> 0;
    if ((Atomics.or(shard.control, CONTROL.blockLocks, bit) & bit) === 0) return lock;
  }
  return -1;
}

function fromBlock(
  segment: Segment,
  kernel: GatherKernel,
  block: number,
  wholeAbove: number,
  memory: ColumnMemory,
): PageBatch {
  const { shard, pages, forced } = segment;
  const { buffer } = shard;
  const count = pages.length;
  new Uint32Array(buffer, block + BLOCK.list, count).set(pages);
  const kinds = new Uint8Array(buffer, block + BLOCK.kinds, count);
  kinds.set(forced);
  const words = memory.words(kernel.classify(block, count, wholeAbove) * 8);
  for (let from = 0, out = 0; out < words.length;) {
    const bytes = kernel.words(block, from, count);
    words.set(new Uint8Array(buffer, block + BLOCK.words, bytes), out);
    out += bytes;
    from = new Uint32Array(buffer, block, 1)[0]!;
  }
  return columns(segment, kinds, new Uint8Array(buffer, block + BLOCK.masks), words, memory.pages);
}

function columns(
  segment: Segment,
  found: Uint8Array,
  masks: Uint8Array,
  words: Uint8Array,
  take: Take,
): PageBatch {
  const { shard, pages } = segment;
  const { firstGfn } = shard.handle;
  let kept = 0;
  let whole = 0;
  let masked = 0;
  for (const kind of found) {
    if (kind !== KIND_UNCHANGED) kept++;
    if (kind === KIND_WHOLE) whole++;
    if (kind === KIND_WORDS) masked++;
  }
  const gfns = new Uint32Array(kept);
  const kinds = new Uint8Array(kept);
  const content = take(whole * PAGE_SIZE);
  let out = 0;
  let offset = 0;
  for (let index = 0; index < pages.length; index++) {
    const kind = found[index]!;
    if (kind === KIND_UNCHANGED) continue;
    const page = pages[index]!;
    gfns[out] = firstGfn + page;
    kinds[out++] = kind;
    if (kind !== KIND_WHOLE) continue;
    content.set(shard.image.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE), offset);
    offset += PAGE_SIZE;
  }
  return { gfns, kinds, masks: masks.slice(0, masked * 64), words, pages: content };
}

/** Several batches, in ascending order, as one that shares no memory with them. */
export function joinBatches(parts: readonly PageBatch[], take: Take = ownMemory): PageBatch {
  return {
    ...joinSmall(parts),
    words: joinColumn(parts, 'words', take),
    pages: joinColumn(parts, 'pages', take),
  };
}

/** The same where the parts' words were taken from a caller's buffer: they stay there if they lie together. */
export function joinBatchesIn(parts: readonly PageBatch[], take: Take): PageBatch {
  const words = together(parts.map((part) => part.words)) ?? joinColumn(parts, 'words', take);
  return { ...joinSmall(parts), words, pages: joinColumn(parts, 'pages', take) };
}

function joinSmall(parts: readonly PageBatch[]): Pick<PageBatch, 'gfns' | 'kinds' | 'masks'> {
  const gfns = new Uint32Array(parts.reduce((sum, part) => sum + part.gfns.length, 0));
  let out = 0;
  for (const part of parts) {
    gfns.set(part.gfns, out);
    out += part.gfns.length;
  }
  return {
    gfns,
    kinds: joinColumn(parts, 'kinds', ownMemory),
    masks: joinColumn(parts, 'masks', ownMemory),
  };
}

function joinColumn(
  parts: readonly PageBatch[],
  key: 'kinds' | 'masks' | 'words' | 'pages',
  take: Take,
): Uint8Array {
  const column = take(parts.reduce((sum, part) => sum + part[key].length, 0));
  let offset = 0;
  for (const part of parts) {
    column.set(part[key], offset);
    offset += part[key].length;
  }
  return column;
}

/** The bytes of all parts, where each begins at the end of the one before. */
function together(parts: readonly Uint8Array[]): Uint8Array | undefined {
  const [first] = parts;
  if (!first) return undefined;
  let end = first.byteOffset;
  for (const { buffer, byteOffset, length } of parts) {
    if (buffer !== first.buffer || byteOffset !== end) return undefined;
    end += length;
  }
  return new Uint8Array(first.buffer, first.byteOffset, end - first.byteOffset);
}

/** Gives memory for a column, to be overwritten as a whole. */
export type Take = (bytes: number) => Uint8Array;

/** Memory that belongs to the batch alone. */
export const ownMemory: Take = (bytes) => new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);

/** Memory from a caller's buffer as long as it lasts. */
export function takeFrom(buffer: Uint8Array): Take {
  let used = 0;
  return (bytes) => {
    if (used + bytes > buffer.length) return ownMemory(bytes);
    used += bytes;
    return buffer.subarray(used - bytes, used);
  };
}

let parts: Uint8Array | undefined;

/** What the parts of a batch are laid out in before they are joined: this thread's, used by one batch at a time. */
export function partMemory(): Take {
  return takeFrom((parts ??= new Uint8Array(MAX_BATCH_PAGES * PAGE_SIZE)));
}
