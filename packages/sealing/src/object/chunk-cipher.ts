import { createCipheriv, createDecipheriv } from 'node:crypto';
import { FitdocError } from '@fitdoc/interface';
import { TAG_BYTES } from './layout.js';

const NONCE_BYTES = 12;
const ALGORITHM = 'aes-256-gcm';

/**
 * Seals and opens the chunks of one object. The nonce is the chunk's number and whether it is the last one, as in
 * STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): no chunk can be left out, doubled, exchanged or be the end when
 * it was not. A key is one object's alone, so that no nonce comes twice under it.
 */
export class ChunkCipher {
  /** `name` is for errors; the key is 32 bytes and stays the caller's to wipe. */
  constructor(
    private readonly key: Uint8Array,
    private readonly name: string,
  ) {}

  /** Writes the sealed chunk, 16 bytes longer, to `target` from `at`. */
  seal(chunk: Uint8Array, place: ChunkPlace, target: Buffer, at: number): void {
    const cipher = createCipheriv(ALGORITHM, this.key, nonceOf(place), { authTagLength: TAG_BYTES });
    target.set(cipher.update(chunk), at);
    cipher.final();
    target.set(cipher.getAuthTag(), at + chunk.length);
  }

  /** Writes what is in a sealed chunk to `target` from `at`. FORMAT_DAMAGED: then what was written is worth nothing. */
  open(sealed: Uint8Array, place: ChunkPlace, target: Buffer, at: number): void {
    const length = sealed.length - TAG_BYTES;
    const cipher = createDecipheriv(ALGORITHM, this.key, nonceOf(place), { authTagLength: TAG_BYTES });
    try {
      cipher.setAuthTag(sealed.subarray(length));
      target.set(cipher.update(sealed.subarray(0, length)), at);
      cipher.final();
    } catch (cause) {
      throw new FitdocError('FORMAT_DAMAGED', `The sealed object ${this.name} cannot be opened.`, {
        cause,
        hint: 'It was changed, cut off, or moved here from another key or repository: bring it back from a copy.',
        details: { key: this.name, chunk: place.number },
      });
    }
  }
}

/** Which chunk of its object one is, counted from 0, and whether none follows. */
export interface ChunkPlace {
  readonly number: number;
  readonly isLast: boolean;
}

function nonceOf({ number, isLast }: ChunkPlace): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUIntBE(number, NONCE_BYTES - 7, 6);
  nonce[NONCE_BYTES - 1] = isLast ? 1 : 0;
  return nonce;
}
