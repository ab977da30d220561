import { KIND_UNCHANGED, KIND_WHOLE, KIND_WORDS, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { BLOCK, BLOCK_COUNT, CONTROL } from './layout.js';
import type { GatherKernel } from './kernel.js';
import type { Shard } from './shard.js';
import { gatherPlainly } from './twin-gather.js';

/** Pages of one shard, by the shard's own numbers, with what the batch shall call them. */
export interface Segment {
  readonly shard: Shard;
  readonly pages: Uint32Array;
  /** 1 for pages to store whole. */
  readonly forced: Uint8Array;
}

/** Words from which on a page costs as much as words with their mask as it does whole. */
export const WHOLE_ABOVE = (PAGE_SIZE - 64) / 8 - 1;

/** The columns of one shard's part of a batch. */
export function gatherSegment(segment: Segment, wholeAbove: number, take: Take = ownMemory): PageBatch {
  const { shard } = segment;
  const kernel = shard.kernel.gather;
  const lock = kernel ? acquireBlock(shard) : -1;
  if (!kernel || lock < 0) return gatherPlainly(segment, wholeAbove);
  try {
    return fromBlock(segment, kernel, shard.layout.blocks + lock * BLOCK.size, wholeAbove, take);
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
  take: Take,
): PageBatch {
  const { shard, pages, forced } = segment;
  const { buffer } = shard;
  const count = pages.length;
  new Uint32Array(buffer, block + BLOCK.list, count).set(pages);
  const kinds = new Uint8Array(buffer, block + BLOCK.kinds, count);
  kinds.set(forced);
  const words = take(kernel.classify(block, count, wholeAbove) * 8);
  for (let from = 0, out = 0; out < words.length;) {
    const bytes = kernel.words(block, from, count);
    words.set(new Uint8Array(buffer, block + BLOCK.words, bytes), out);
    out += bytes;
    from = new Uint32Array(buffer, block, 1)[0]!;
  }
  return columns(segment, kinds, new Uint8Array(buffer, block + BLOCK.masks), words, take);
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

/** Several batches, in ascending order, as one. */
export function joinBatches(parts: readonly PageBatch[], take: Take = ownMemory): PageBatch {
  const [first] = parts;
  if (parts.length === 1 && first) return first;
  const gfns = new Uint32Array(parts.reduce((sum, part) => sum + part.gfns.length, 0));
  let out = 0;
  for (const part of parts) {
    gfns.set(part.gfns, out);
    out += part.gfns.length;
  }
  const join = (key: 'kinds' | 'masks' | 'words' | 'pages', memory: Take) => {
    const column = memory(parts.reduce((sum, part) => sum + part[key].length, 0));
    let offset = 0;
    for (const part of parts) {
      column.set(part[key], offset);
      offset += part[key].length;
    }
    return column;
  };
  return {
    gfns,
    kinds: join('kinds', ownMemory),
    masks: join('masks', ownMemory),
    words: join('words', take),
    pages: join('pages', take),
  };
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
