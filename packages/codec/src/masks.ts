const bitsOfByte = Uint8Array.from(
  { length: 256 },
  (_, value) => value.toString(2).replaceAll('0', '').length,
);

/** Number of set bits in all masks together: the words that they stand for. */
export function countMaskBits(masks: Uint8Array): number {
  let bits = 0;
  for (const byte of masks) bits += bitsOfByte[byte] as number;
  return bits;
}
