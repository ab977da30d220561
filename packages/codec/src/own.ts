/**
 * The same bytes as a plain Uint8Array with memory of its own: a Buffer may share Node's pool with others, and
 * its `slice` does not copy.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  const alone = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return alone ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes);
}
