import { MASK_SIZE } from '@fitdoc/interface';

/** Halves of words in which eight of them lie: those of a byte of a mask. */
const HALVES_OF_BYTE = 16;
/** A copy by the runtime costs about as much as so many steps. */
const LONG_RUN = 64;

/**
 * Puts words to where the bits of a page's mask are set. Words are given in halves of 32 bits, from index `from` on; gives
 * the index behind the last. Words, not bytes: a fourth of the steps.
 */
export function scatter(
  mask: Uint8Array,
  maskAt: number,
  words: Uint32Array,
  from: number,
  page: Uint32Array,
): number {
  let next = from;
  for (let byte = 0; byte < MASK_SIZE; byte++) {
    let bits = mask[maskAt + byte]!;
    let to = byte * HALVES_OF_BYTE;
    if (bits !== 0xff) {
      for (; bits !== 0; bits &= bits - 1) {
        const word = to + 2 * (31 - Math.clz32(bits & -bits));
        page[word] = words[next]!;
        page[word + 1] = words[next + 1]!;
        next += 2;
      }
      continue;
    }
    while (byte + 1 < MASK_SIZE && mask[maskAt + byte + 1] === 0xff) byte++;
    const end = (byte + 1) * HALVES_OF_BYTE;
    if (end - to < LONG_RUN) while (to < end) page[to++] = words[next++]!;
    else {
      page.set(words.subarray(next, next + end - to), to);
      next += end - to;
    }
  }
  return next;
}

/** The halves of words that bytes are. */
export function halvesOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
}
