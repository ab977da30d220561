import { KIND_WHOLE, KIND_WORDS, KIND_ZERO, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { countBits, testBit } from './bits.js';
import type { Segment } from './segment.js';

/** What `gatherSegment` does, in plain TypeScript: its oracle, and the way on when scratch memory is short. */
export function gatherPlainly(segment: Segment, wholeAbove: number): PageBatch {
  const { shard, forced } = segment;
  const { firstGfn } = shard.handle;
  const gfns: number[] = [];
  const kinds: number[] = [];
  const masks: Uint8Array[] = [];
  const words: Uint8Array[] = [];
  const pages: Uint8Array[] = [];
  segment.pages.forEach((page, index) => {
    const mask = shard.masks.slice(page * 64, page * 64 + 64);
    const changed = testBit(shard.pending, page) ? countMask(mask) : 0;
    if (changed === 0 && forced[index] === 0) return;
    const content = shard.image.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    gfns.push(firstGfn + page);
    if (content.every((byte) => byte === 0)) {
      kinds.push(KIND_ZERO);
    } else if (forced[index] !== 0 || changed > wholeAbove) {
      kinds.push(KIND_WHOLE);
      pages.push(content);
    } else {
      kinds.push(KIND_WORDS);
      masks.push(mask);
      words.push(pick(content, mask));
    }
  });
  return {
    gfns: Uint32Array.from(gfns),
    kinds: Uint8Array.from(kinds),
    masks: concat(masks),
    words: concat(words),
    pages: concat(pages),
  };
}

/** The words of a page whose mask bits are set. */
export function pick(page: Uint8Array, mask: Uint8Array): Uint8Array {
  const words = new Uint8Array(countMask(mask) * 8);
  let out = 0;
  for (let word = 0; word < 512; word++) {
    if ((mask[word >>> 3]! & (1 << (word & 7))) === 0) continue;
    for (let byte = 0; byte < 8; byte++) words[out++] = page[word * 8 + byte]!;
  }
  return words;
}

/** Number of set bits in a mask. */
export function countMask(mask: Uint8Array): number {
  let words = 0;
  for (const byte of mask) words += countBits(byte);
  return words;
}

/** All parts in one buffer of its own. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
