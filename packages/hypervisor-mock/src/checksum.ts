/**
 * The checksum that a mock machine keeps of its own memory: 64 bits in two lanes, each the sum over all words
 * of a hash of (position in the page, value) times an odd factor of the page. A word that is zero counts
 * nothing, so untouched memory costs nothing; and a change of one word changes the sum by a difference that
 * needs no other word. A lost or misplaced page passes unseen only by a coincidence of 64 bits; it is no defence
 * against anyone who means harm.
 */
export interface Checksum {
  low: number;
  high: number;
}

const WORDS = 512;

/** The hash of word `index` of a page in both lanes, into `out`. */
export function hashWord(index: number, low: number, high: number, out: Checksum): void {
  if ((low | high) === 0) {
    out.low = 0;
    out.high = 0;
    return;
  }
  let x = Math.imul(low ^ Math.imul(index + 1, 0x2c1b3c6d), 0x297a2d39);
  x = Math.imul((x ^ (x >>> 15)) + high, 0x85ebca6b);
  x ^= x >>> 13;
  out.low = x;
  x = Math.imul(x ^ low, 0xc2b2ae35) + Math.imul(high ^ index, 0x27d4eb2f);
  out.high = x ^ (x >>> 16);
}

/** The sums of a page's words, before the page's factor, into `out`. Requires 1024 halves of words. */
export function hashPage(halves: Uint32Array, out: Checksum): void {
  let low = 0;
  let high = 0;
  for (let i = 0; i < WORDS; i++) {
    const a = halves[2 * i] as number;
    const b = halves[2 * i + 1] as number;
    if ((a | b) === 0) continue;
    hashWord(i, a, b, out);
    low = (low + out.low) | 0;
    high = (high + out.high) | 0;
  }
  out.low = low;
  out.high = high;
}

/** Adds `change` (a difference of page sums) of page `gfn` to the sum of a memory. */
export function addToSum(sum: Checksum, gfn: number, change: Checksum): void {
  sum.low = (sum.low + Math.imul(change.low, (Math.imul(gfn, 0x9e3779b2) + 0x7feb352d) | 1)) | 0;
  sum.high = (sum.high + Math.imul(change.high, (Math.imul(gfn ^ (gfn >>> 16), 0x846ca68a) + 1) | 1)) | 0;
}

export function checksumText(sum: Checksum): string {
  const hex = (value: number) => (value >>> 0).toString(16).padStart(8, '0');
  return hex(sum.high) + hex(sum.low);
}
