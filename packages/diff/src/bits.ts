/** Whether bit `bit` of a bitmap in 32-bit words is set. */
export function testBit(bitmap: Int32Array, bit: number): boolean {
  return ((bitmap[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
}

/** Sets a bit, safe against other threads that set neighbours. */
export function setBit(bitmap: Int32Array, bit: number): void {
  if (!testBit(bitmap, bit)) Atomics.or(bitmap, bit >>> 5, 1 << (bit & 31));
}

/** Clears a bit, safe against other threads that change neighbours. */
export function clearBit(bitmap: Int32Array, bit: number): void {
  if (testBit(bitmap, bit)) Atomics.and(bitmap, bit >>> 5, ~(1 << (bit & 31)));
}

/** Sets bits `from` to `to - 1`; for one writer. */
export function setBits(bitmap: Int32Array, from: number, to: number): void {
  let bit = from;
  for (; bit < to && (bit & 31) !== 0; bit++) bitmap[bit >>> 5]! |= 1 << (bit & 31);
  const whole = bit + Math.floor((to - bit) / 32) * 32;
  if (whole > bit) bitmap.fill(-1, bit >>> 5, whole >>> 5);
  for (bit = Math.max(bit, whole); bit < to; bit++) bitmap[bit >>> 5]! |= 1 << (bit & 31);
}

/** Number of set bits in a 32-bit word. */
export function countBits(word: number): number {
  let x = word - ((word >>> 1) & 0x5555_5555);
  x = (x & 0x3333_3333) + ((x >>> 2) & 0x3333_3333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Index of the lowest set bit of a word that is not 0. */
export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
