import { WORD_SIZE } from '@fitdoc/interface';

/**
 * Groups bytes by their place in the word: first byte 0 of every word, then byte 1, up to byte 7. Requires a
 * multiple of 8 bytes. In numbers of like size the upper bytes then stand together, and compress.
 */
export function shuffle(bytes: Uint8Array): Uint8Array {
  const words = bytes.length / WORD_SIZE;
  const out = new Uint8Array(bytes.length);
  for (let word = 0, from = 0; word < words; word += 1, from += WORD_SIZE) {
    for (let place = 0, to = word; place < WORD_SIZE; place += 1, to += words) {
      out[to] = bytes[from + place] as number;
    }
  }
  return out;
}

/** The inverse of `shuffle`. */
export function unshuffle(bytes: Uint8Array): Uint8Array {
  const words = bytes.length / WORD_SIZE;
  const out = new Uint8Array(bytes.length);
  for (let word = 0, to = 0; word < words; word += 1, to += WORD_SIZE) {
    for (let place = 0, from = word; place < WORD_SIZE; place += 1, from += words) {
      out[to + place] = bytes[from] as number;
    }
  }
  return out;
}
