import { WORD_SIZE } from '@fitdoc/interface';
import { damaged } from './errors.js';

/** Words with the zero ones left out. */
export interface SparseWords {
  /** Bit `i & 7` of byte `i >> 3` is set when word `i` is not zero. */
  readonly nonzero: Uint8Array;
  /** The words that are not zero, in order. */
  readonly words: Uint8Array;
}

// Below this share of zero words a compressor takes them for nearly nothing, and the bitmap is only a burden.
const LEAST_SHARE = 1 / 16;

/** Leaves out the zero words (a quarter of what guests write), or gives undefined when they are too few. */
export function separateZeroWords(words: Uint8Array): SparseWords | undefined {
  const halves = aligned(words);
  const count = words.length / WORD_SIZE;
  const nonzero = new Uint8Array(Math.ceil(count / 8));
  const kept = new Int32Array(halves.length);
  let filled = 0;
  for (let word = 0; word < count; word += 1) {
    const first = halves[word * 2] as number;
    const second = halves[word * 2 + 1] as number;
    kept[filled] = first;
    kept[filled + 1] = second;
    if ((first | second) !== 0) {
      filled += 2;
      nonzero[word >> 3] = (nonzero[word >> 3] as number) | (1 << (word & 7));
    }
  }
  if (count * 2 - filled < count * 2 * LEAST_SHARE || count === 0) return undefined;
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
