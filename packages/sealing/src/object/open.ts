import type { ByteRange } from '@fitdoc/interface';
import type { ChunkCipher } from './chunk-cipher.js';
import { CHUNK_BYTES, cutOff, HEADER_BYTES, SEALED_CHUNK_BYTES, TAG_BYTES } from './layout.js';

/** The chunks that hold a range of an object, and where they lie in it when it is sealed. */
export interface Stretch {
  readonly firstChunk: number;
  readonly offset: number;
  /** A byte more than the chunks take: whether it comes says whether the last of them is the object's last. */
  readonly length: number;
}

/** Undefined where no object can reach. */
export function stretchOf({ offset, length }: ByteRange): Stretch | undefined {
  const firstChunk = Math.floor(offset / CHUNK_BYTES);
  const lastChunk = Math.max(firstChunk, Math.ceil((offset + length) / CHUNK_BYTES) - 1);
  const start = HEADER_BYTES + firstChunk * SEALED_CHUNK_BYTES;
  const end = HEADER_BYTES + (lastChunk + 1) * SEALED_CHUNK_BYTES + 1;
  if (!Number.isSafeInteger(start)) return undefined;
  return { firstChunk, offset: start, length: Math.min(end, Number.MAX_SAFE_INTEGER) - start };
}

/**
 * Opens what was read of a stretch and gives the range of the object that it holds, as far as the object goes.
 * Nothing that a chunk holds is given out before that chunk's tag was checked. FORMAT_DAMAGED, FORMAT_TRUNCATED.
 */
export function openRange(
  read: Uint8Array,
  { firstChunk, length }: Stretch,
  range: ByteRange,
  cipher: ChunkCipher,
  name: string,
): Uint8Array {
  const endsHere = read.length < length;
  const sealed = endsHere ? read : read.subarray(0, length - 1);
  const plain = openChunks(sealed, { firstChunk, endsHere }, cipher, name);
  const skip = range.offset - firstChunk * CHUNK_BYTES;
  const wanted = plain.subarray(skip, skip + range.length);
  // A few bytes are not to keep all of their chunk in memory; many are not worth fresh memory.
  return wanted.length * 2 < plain.length ? new Uint8Array(wanted) : wanted;
}

/** Opens a whole object, its header taken off. FORMAT_DAMAGED, FORMAT_TRUNCATED. */
export function openWhole(body: Uint8Array, cipher: ChunkCipher, name: string): Uint8Array {
  if (body.length === 0) throw cutOff(name);
  return openChunks(body, { firstChunk: 0, endsHere: true }, cipher, name);
}

function openChunks(
  sealed: Uint8Array,
  { firstChunk, endsHere }: { readonly firstChunk: number; readonly endsHere: boolean },
  cipher: ChunkCipher,
  name: string,
): Buffer {
  const count = Math.ceil(sealed.length / SEALED_CHUNK_BYTES);
  const lastBytes = sealed.length - Math.max(0, count - 1) * SEALED_CHUNK_BYTES;
  // Only an empty object has an empty chunk.
  const least = firstChunk === 0 && count === 1 ? TAG_BYTES : TAG_BYTES + 1;
  if (count > 0 && lastBytes < least) throw cutOff(name);
  const plain = Buffer.allocUnsafeSlow(sealed.length - count * TAG_BYTES);
  for (let index = 0; index < count; index++) {
    const at = index * SEALED_CHUNK_BYTES;
    const place = { number: firstChunk + index, isLast: endsHere && index === count - 1 };
    cipher.open(sealed.subarray(at, at + SEALED_CHUNK_BYTES), place, plain, index * CHUNK_BYTES);
  }
  return plain;
}
