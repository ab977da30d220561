import { KIND_WHOLE, KIND_WORDS, KIND_ZERO, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { concat, countMask, pick } from './twin-gather.js';

/** What `diffPages` does, in plain TypeScript and readable: the oracle of the fast way. */
export function diffPagesPlainly(next: Uint8Array, image: Uint8Array, wholeAbove: number): PageBatch {
  const gfns: number[] = [];
  const kinds: number[] = [];
  const masks: Uint8Array[] = [];
  const words: Uint8Array[] = [];
  const pages: Uint8Array[] = [];
  for (let gfn = 0; gfn * PAGE_SIZE < next.length; gfn++) {
    const page = next.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE);
    const mask = maskOf(page, image.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE));
    const changed = countMask(mask);
    if (changed === 0) continue;
    gfns.push(gfn);
    if (page.every((byte) => byte === 0)) {
      kinds.push(KIND_ZERO);
    } else if (changed > wholeAbove) {
      kinds.push(KIND_WHOLE);
      pages.push(page);
    } else {
      kinds.push(KIND_WORDS);
      masks.push(mask);
      words.push(pick(page, mask));
    }
    image.set(page, gfn * PAGE_SIZE);
  }
  return {
    gfns: Uint32Array.from(gfns),
    kinds: Uint8Array.from(kinds),
    masks: concat(masks),
    words: concat(words),
    pages: concat(pages),
  };
}

function maskOf(next: Uint8Array, image: Uint8Array): Uint8Array {
  const mask = new Uint8Array(64);
  for (let byte = 0; byte < PAGE_SIZE; byte++) {
    const word = byte >>> 3;
    if (next[byte] !== image[byte]) mask[word >>> 3]! |= 1 << (word & 7);
  }
  return mask;
}
