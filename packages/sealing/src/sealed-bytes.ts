import type { KeyRing } from './keys/key-ring.js';
import { HEADER_BYTES, parseHeader } from './object/layout.js';
import { ObjectKeys } from './object/object-keys.js';
import { openWhole } from './object/open.js';
import { sealBytes } from './object/seal.js';

/** Seals and opens bytes that are kept somewhere else than in a store, as objects are: under a name, in a scope. */
export class SealedBytes {
  readonly #keys: ObjectKeys;

  constructor(ring: KeyRing, scope: string) {
    this.#keys = new ObjectKeys(ring, () => scope);
  }

  seal(name: string, bytes: Uint8Array): Uint8Array {
    return sealBytes(bytes, this.#keys.create(name));
  }

  /** Errors: as those of a sealed store's reads. */
  open(name: string, sealed: Uint8Array): Uint8Array {
    const { cipher } = this.#keys.of(parseHeader(sealed, name), name);
    return openWhole(sealed.subarray(HEADER_BYTES), cipher, name);
  }

  wipe(): void {
    this.#keys.wipe();
  }
}

/** The id of the key that a sealed object is sealed with, from its first 48 bytes. The errors of its reading. */
export function keyIdOf(start: Uint8Array, name: string): string {
  return parseHeader(start, name).keyId;
}
