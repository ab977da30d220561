const bitsOfByte = Uint8Array.from(
  { length: 256 },
  (_, value) => value.toString(2).replaceAll('0', '').length,
);

/** Number of set bits in all masks together: the words that they stand for. */
export function countMaskBits(masks: Uint8Array): number {
  if (masks.byteOffset % 4 !== 0) return countBytewise(masks);
  const whole = masks.length >> 2;
  const parts = new Int32Array(masks.buffer, masks.byteOffset, whole);
  let bits = 0;
  for (let index = 0; index < whole; index += 1) {
    // Counts in pairs, then fours, then bytes; the product sums the bytes up in the top one.
    let part = parts[index] as number;
    part -= (part >>> 1) & 0x55555555;
    part = (part & 0x33333333) + ((part >>> 2) & 0x33333333);
    part = (part + (part >>> 4)) & 0x0f0f0f0f;
    bits += Math.imul(part, 0x01010101) >>> 24;
  }
  return bits + countBytewise(masks.subarray(whole * 4));
}

function countBytewise(masks: Uint8Array): number {
  let bits = 0;
  for (const byte of masks) bits += bitsOfByte[byte] as number;
  return bits;
}
