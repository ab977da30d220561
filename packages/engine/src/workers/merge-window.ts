import {
  KIND_WHOLE,
  KIND_WORDS,
  KIND_ZERO,
  MASK_SIZE,
  PAGE_SIZE,
  WORD_SIZE,
  WORDS_PER_PAGE,
  type PageBatch,
} from '@fitdoc/interface';

/** Words above which a page is cheaper whole than as words with their mask. */
const WHOLE_ABOVE = (PAGE_SIZE - MASK_SIZE) / WORD_SIZE;

/** Pages of a window after several increments were applied to it, with what of them is known. */
export interface MergedPages {
  /** First page of the window. */
  readonly firstGfn: number;
  readonly bytes: Uint8Array;
  /** 64 bytes a page: the words that some merged increment stored. */
  readonly known: Uint8Array;
}

/**
 * One batch out of merged increments: `gfns` (ascending, within the window) with their newest words. A page
 * all of whose words are known is stored whole or as zero, as the increments between are gone.
 */
export function mergedBatch(merged: MergedPages, gfns: Uint32Array): PageBatch {
  const kinds = new Uint8Array(gfns.length);
  const masks = new Columns();
  const words = new Columns();
  const pages = new Columns();
  gfns.forEach((gfn, index) => {
    const page = gfn - merged.firstGfn;
    const bytes = merged.bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    const mask = merged.known.subarray(page * MASK_SIZE, (page + 1) * MASK_SIZE);
    const count = popcount(mask);
    kinds[index] = kindOf(bytes, count);
    if (kinds[index] === KIND_WHOLE) pages.add(bytes);
    if (kinds[index] !== KIND_WORDS) return;
    masks.add(mask);
    words.add(selected(bytes, mask, count));
  });
  return { gfns, kinds, masks: masks.joined(), words: words.joined(), pages: pages.joined() };
}

/** Only a page that is known in full may become whole or zero: the rest of another is the parent's. */
function kindOf(bytes: Uint8Array, known: number): number {
  if (known < WORDS_PER_PAGE) return KIND_WORDS;
  return bytes.every((byte) => byte === 0) ? KIND_ZERO : KIND_WHOLE;
}

/**
 * A batch of a base: every page of the window that is not zero, as its words that are not zero where those
 * are few.
 */
export function baseBatch(merged: MergedPages, gfns: Uint32Array): PageBatch {
  const kept: number[] = [];
  const kinds: number[] = [];
  const masks = new Columns();
  const words = new Columns();
  const pages = new Columns();
  for (const gfn of gfns) {
    const page = gfn - merged.firstGfn;
    const bytes = merged.bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    const mask = nonZeroWords(bytes);
    const count = popcount(mask);
    if (count === 0) continue;
    kept.push(gfn);
    kinds.push(count > WHOLE_ABOVE ? KIND_WHOLE : KIND_WORDS);
    if (count > WHOLE_ABOVE) {
      pages.add(bytes);
      continue;
    }
    masks.add(mask);
    words.add(selected(bytes, mask, count));
  }
  return {
    gfns: Uint32Array.from(kept),
    kinds: Uint8Array.from(kinds),
    masks: masks.joined(),
    words: words.joined(),
    pages: pages.joined(),
  };
}

function nonZeroWords(bytes: Uint8Array): Uint8Array {
  const mask = new Uint8Array(MASK_SIZE);
  const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, WORDS_PER_PAGE);
  for (let word = 0; word < WORDS_PER_PAGE; word++) {
    if (words[word] !== 0n) mask[word >> 3] = (mask[word >> 3] ?? 0) | (1 << (word & 7));
  }
  return mask;
}

function selected(bytes: Uint8Array, mask: Uint8Array, count: number): Uint8Array {
  const words = new Uint8Array(count * WORD_SIZE);
  let at = 0;
  for (let word = 0; word < WORDS_PER_PAGE; word++) {
    if (((mask[word >> 3] ?? 0) & (1 << (word & 7))) === 0) continue;
    words.set(bytes.subarray(word * WORD_SIZE, (word + 1) * WORD_SIZE), at);
    at += WORD_SIZE;
  }
  return words;
}

function popcount(mask: Uint8Array): number {
  let count = 0;
  for (let byte of mask) for (; byte; byte &= byte - 1) count++;
  return count;
}

/** Bytes collected piece by piece, copied once. */
class Columns {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  add(part: Uint8Array): void {
    this.#parts.push(part.slice());
    this.#length += part.length;
  }

  joined(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
