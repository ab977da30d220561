import { WORD_SIZE } from '@fitdoc/interface';

/**
 * Groups bytes by their place in the word: first byte 0 of every word, then byte 1, up to byte 7. Requires a
 * multiple of 8 bytes, and `out` of as many. In numbers of like size the upper bytes then stand together, and compress.
 */
export function shuffle(bytes: Uint8Array, out: Uint8Array = new Uint8Array(bytes.length)): Uint8Array {
  const [a, b, c, d, e, f, g, h] = lanes(out);
  // Written out because the engine then moves about 1 GB/s, twice what an inner loop gets.
  for (let word = 0, at = 0; at < bytes.length; word += 1, at += WORD_SIZE) {
    a[word] = bytes[at] as number;
    b[word] = bytes[at + 1] as number;
    c[word] = bytes[at + 2] as number;
    d[word] = bytes[at + 3] as number;
    e[word] = bytes[at + 4] as number;
    f[word] = bytes[at + 5] as number;
    g[word] = bytes[at + 6] as number;
    h[word] = bytes[at + 7] as number;
  }
  return out;
}

/** The inverse of `shuffle`. */
export function unshuffle(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const [a, b, c, d, e, f, g, h] = lanes(bytes);
  for (let word = 0, at = 0; at < bytes.length; word += 1, at += WORD_SIZE) {
    out[at] = a[word] as number;
    out[at + 1] = b[word] as number;
    out[at + 2] = c[word] as number;
    out[at + 3] = d[word] as number;
    out[at + 4] = e[word] as number;
    out[at + 5] = f[word] as number;
    out[at + 6] = g[word] as number;
    out[at + 7] = h[word] as number;
  }
  return out;
}

type Lane = Uint8Array;
type Lanes = readonly [Lane, Lane, Lane, Lane, Lane, Lane, Lane, Lane];

function lanes(bytes: Uint8Array): Lanes {
  const words = bytes.length / WORD_SIZE;
  const lane = (place: number): Lane => bytes.subarray(place * words, (place + 1) * words);
  return [lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7)];
}
