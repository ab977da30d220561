import { bodyChunks, type StoreBody } from '@fitdoc/interface';
import type { ChunkCipher } from './chunk-cipher.js';
import {
  CHUNK_BYTES,
  HEADER_BYTES,
  SEALED_CHUNK_BYTES,
  sealedSize,
  TAG_BYTES,
  type Header,
} from './layout.js';

/** Chunks that are handed on as one piece, so that no store is asked to write small ones: 4 MiB. */
const MOST_CHUNKS = 64;

/** A new object's header, and the cipher of its chunks. */
export interface NewObject {
  readonly header: Header;
  readonly cipher: ChunkCipher;
}

/** Seals an object that is in memory. */
export function sealBytes(plain: Uint8Array, { header, cipher }: NewObject): Buffer {
  const sealed = Buffer.allocUnsafe(sealedSize(plain.length));
  header.bytes.copy(sealed);
  let number = 0;
  let at = HEADER_BYTES;
  for (let from = 0; from < plain.length || number === 0; from += CHUNK_BYTES) {
    const chunk = plain.subarray(from, from + CHUNK_BYTES);
    cipher.seal(chunk, { number, isLast: from + CHUNK_BYTES >= plain.length }, sealed, at);
    at += chunk.length + TAG_BYTES;
    number++;
  }
  return sealed;
}

/** Seals an object as it comes, however it is cut; holds a chunk of it, and what it hands on. */
export async function* sealStream(
  body: StoreBody,
  { header, cipher }: NewObject,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const held = Buffer.allocUnsafe(CHUNK_BYTES);
  let heldBytes = 0;
  let number = 0;
  yield header.bytes;
  for await (const input of bodyChunks(body, signal)) {
    let from = 0;
    // What is known not to be the object's end: more follows it.
    let whole = Math.max(0, Math.ceil((heldBytes + input.length) / CHUNK_BYTES) - 1);
    while (whole > 0) {
      const some = Math.min(whole, MOST_CHUNKS);
      const sealed = Buffer.allocUnsafe(some * SEALED_CHUNK_BYTES);
      for (let index = 0; index < some; index++) {
        const end = from + CHUNK_BYTES - heldBytes;
        let chunk = input.subarray(from, end);
        if (heldBytes > 0) {
          held.set(chunk, heldBytes);
          chunk = held;
        }
        cipher.seal(chunk, { number: number++, isLast: false }, sealed, index * SEALED_CHUNK_BYTES);
        from = end;
        heldBytes = 0;
      }
      whole -= some;
      yield sealed;
    }
    held.set(input.subarray(from), heldBytes);
    heldBytes += input.length - from;
  }
  const last = Buffer.allocUnsafe(heldBytes + TAG_BYTES);
  cipher.seal(held.subarray(0, heldBytes), { number, isLast: true }, last, 0);
  held.fill(0);
  yield last;
}
