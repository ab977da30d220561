const hexPattern = /^(?:[0-9a-f]{2})*$/;

export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Lower-case hex digits, two a byte. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** The bytes of lower-case hex digits, or undefined when the text is anything else. */
export function fromHex(text: string): Uint8Array | undefined {
  return hexPattern.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : undefined;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((value) => value === 0);
}

/** A 64-bit field as a number, or undefined when a number cannot hold it exactly. */
export function readSafeUint64(view: DataView, at: number): number | undefined {
  const value = view.getBigUint64(at, true);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}
