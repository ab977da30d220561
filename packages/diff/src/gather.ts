import { KIND_UNCHANGED, KIND_WHOLE, KIND_WORDS, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { BLOCK, BLOCK_COUNT, CONTROL } from './layout.js';
import type { GatherKernel } from './kernel.js';
import type { Shard } from './shard.js';
import { gatherPlainly } from './twin-gather.js';

/** Pages of one shard, by the shard's own numbers, with what the batch shall call them. */
export interface Segment {
  readonly shard: Shard;
  readonly firstGfn: number;
  readonly pages: Uint32Array;
  /** 1 for pages to store whole. */
  readonly forced: Uint8Array;
}

/** Words from which on a page costs as much as words with their mask as it does whole. */
export const WHOLE_ABOVE = (PAGE_SIZE - 64) / 8 - 1;

/** The columns of one shard's part of a batch. */
export function gatherSegment(segment: Segment, wholeAbove: number): PageBatch {
  const { shard } = segment;
  const kernel = shard.kernel.gather;
  const lock = kernel ? acquireBlock(shard) : -1;
  if (!kernel || lock < 0) return gatherPlainly(segment, wholeAbove);
  try {
    return fromBlock(segment, kernel, shard.layout.blocks + lock * BLOCK.size, wholeAbove);
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

function fromBlock(segment: Segment, kernel: GatherKernel, block: number, wholeAbove: number): PageBatch {
  const { shard, pages, forced } = segment;
  const { buffer } = shard;
  const count = pages.length;
  new Uint32Array(buffer, block + BLOCK.list, count).set(pages);
  const kinds = new Uint8Array(buffer, block + BLOCK.kinds, count);
  kinds.set(forced);
  const words = unfilled(kernel.classify(block, count, wholeAbove) * 8);
  for (let from = 0, out = 0; out < words.length;) {
    const bytes = kernel.words(block, from, count);
    words.set(new Uint8Array(buffer, block + BLOCK.words, bytes), out);
    out += bytes;
    from = new Uint32Array(buffer, block, 1)[0]!;
  }
  return columns(segment, kinds, new Uint8Array(buffer, block + BLOCK.masks), words);
}

function columns(segment: Segment, found: Uint8Array, masks: Uint8Array, words: Uint8Array): PageBatch {
  const { shard, pages, firstGfn } = segment;
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
  const content = unfilled(whole * PAGE_SIZE);
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

/** Memory of its own that is about to be overwritten as a whole. */
function unfilled(bytes: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}
