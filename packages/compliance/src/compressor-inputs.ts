export interface SampleInput {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** `length` bytes that are the same for the same seed; `bits` of each byte carry noise, the others are zero. */
export function seededBytes(length: number, seed: number, bits = 8): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = (state >>> 8) & ((1 << bits) - 1);
  }
  return bytes;
}

/** Inputs at the edges of what a column can be, and of what methods treat apart. */
export function sampleInputs(): SampleInput[] {
  const text = new TextEncoder().encode('increment '.repeat(20_000));
  const pointers = new Uint8Array(64 * 1024);
  for (let word = 0; word < pointers.length / 8; word += 1) {
    new DataView(pointers.buffer).setBigUint64(word * 8, 0xffff888000000000n + BigInt(word * 192), true);
  }
  return [
    { name: 'nothing', bytes: new Uint8Array(0) },
    { name: 'one byte', bytes: Uint8Array.of(42) },
    { name: 'seven bytes', bytes: seededBytes(7, 1) },
    { name: 'zeros', bytes: new Uint8Array(300_000) },
    { name: 'text', bytes: text },
    { name: 'pointers', bytes: pointers },
    { name: 'noise', bytes: seededBytes(100_003, 2) },
    { name: 'four mebibytes, half of them noise', bytes: seededBytes(4 * 1024 * 1024, 3, 4) },
  ];
}
