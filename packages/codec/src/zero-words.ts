import { WORD_SIZE } from '@fitdoc/interface';
import { damaged } from './errors.js';
import type { Scratch } from './scratch.js';

/** Words with the zero ones left out. */
export interface SparseWords {
  /** Bit `i & 7` of byte `i >> 3` is set when word `i` is not zero. */
  readonly nonzero: Uint8Array;
  /** The words that are not zero, in order. */
  readonly words: Uint8Array;
}

const SAMPLE_STRIDE = 31;

/** Whether more than `leastShare` of the words are zero, by a look at one in 31 of them. */
export function hasZeroWords(words: Uint8Array, leastShare: number): boolean {
  const halves = aligned(words);
  let looked = 0;
  let zeros = 0;
  for (let at = 0; at < halves.length; at += SAMPLE_STRIDE * 2) {
    looked += 1;
    if (((halves[at] as number) | (halves[at + 1] as number)) === 0) zeros += 1;
  }
  return zeros > looked * leastShare;
}

/** Leaves out the zero words. The result lies in `scratch`. */
export function separateZeroWords(words: Uint8Array, scratch: Scratch): SparseWords {
  const halves = aligned(words);
  const count = words.length / WORD_SIZE;
  const nonzero = scratch.take('nonzero', Math.ceil(count / 8));
  // Each word is written before it is known whether it stays, so there is room for one more.
  const kept = aligned(scratch.take('words', words.length + WORD_SIZE));
  let filled = 0;
  for (let word = 0; word < count;) {
    let bits = 0;
    for (let bit = 1, end = Math.min(count, word + 8); word < end; word += 1, bit <<= 1) {
      const first = halves[word * 2] as number;
      const second = halves[word * 2 + 1] as number;
      kept[filled] = first;
      kept[filled + 1] = second;
      if ((first | second) !== 0) {
        filled += 2;
        bits |= bit;
      }
    }
    nonzero[(word - 1) >> 3] = bits;
  }
  return { nonzero, words: new Uint8Array(kept.buffer, 0, filled * 4) };
}

/**
 * The inverse of `separateZeroWords` for `count` words. Requires that `sparse.words` has as many words as
 * `sparse.nonzero` has set bits. Throws CODEC_DAMAGED where an encoder would have left a word out.
 */
export function restoreZeroWords(sparse: SparseWords, count: number): Uint8Array {
  const kept = aligned(sparse.words);
  const halves = new Int32Array(count * 2);
  let taken = 0;
  for (let word = 0; word < count; word += 1) {
    if (((sparse.nonzero[word >> 3] as number) & (1 << (word & 7))) === 0) continue;
    const first = kept[taken] as number;
    const second = kept[taken + 1] as number;
    if ((first | second) === 0) throw damaged('a word that is zero is stored as one that is not');
    halves[word * 2] = first;
    halves[word * 2 + 1] = second;
    taken += 2;
  }
  return new Uint8Array(halves.buffer);
}

function aligned(words: Uint8Array): Int32Array {
  const bytes = words.byteOffset % 4 === 0 ? words : new Uint8Array(words);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
