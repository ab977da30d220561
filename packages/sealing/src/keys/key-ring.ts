import { hkdfSync, randomBytes } from 'node:crypto';
import { FitdocError } from '@fitdoc/interface';
import { KEY_ID_BYTES } from '../object/layout.js';

export const KEY_BYTES = 32;

/** Names a key without telling anything of it: 16 hex digits. */
function idOf(key: Uint8Array): string {
  const id = hkdfSync('sha256', key, Buffer.alloc(0), 'fitdoc sealing-v1 key id', KEY_ID_BYTES);
  return Buffer.from(id).toString('hex');
}

/**
 * The keys of a repository, oldest first: all of them open, the newest seals. Each is 32 random bytes that are
 * nowhere stored in the clear.
 */
export class KeyRing {
  readonly #keys = new Map<string, Buffer>();
  #current = '';

  private constructor(keys: readonly Uint8Array[]) {
    for (const key of keys) this.#add(Buffer.from(key));
  }

  /** A ring with one new key. */
  static create(): KeyRing {
    return new KeyRing([randomBytes(KEY_BYTES)]);
  }

  /** From `encode`'s bytes, which stay the caller's to wipe. */
  static decode(bytes: Uint8Array): KeyRing {
    const keys: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += KEY_BYTES) keys.push(bytes.subarray(at, at + KEY_BYTES));
    return new KeyRing(keys);
  }

  /** All keys, one after the other: to be wrapped, and then wiped by the caller. */
  encode(): Buffer {
    return Buffer.concat([...this.#keys.values()]);
  }

  /** The id of the key that seals. */
  get currentId(): string {
    return this.#current;
  }

  /** How many keys there are: how often the repository's key was changed, and one. */
  get size(): number {
    return this.#keys.size;
  }

  has(keyId: string): boolean {
    return this.#keys.has(keyId);
  }

  /** The ring's own memory. KEY_WRONG for a key that is not in it. */
  key(keyId: string): Buffer {
    const key = this.#keys.get(keyId);
    if (key) return key;
    throw new FitdocError(
      'KEY_WRONG',
      `What is sealed with key ${keyId} cannot be read with the keys at hand.`,
      {
        hint: 'The repository got a new key since it was opened: open it again. Or this was sealed for another repository.',
        details: { keyId, known: [...this.#keys.keys()] },
      },
    );
  }

  /** A ring with the same keys and a new one, which seals from now on. */
  extended(): KeyRing {
    const ring = new KeyRing([...this.#keys.values()]);
    ring.#add(randomBytes(KEY_BYTES));
    return ring;
  }

  /** A ring with the keys of both; the one that has more of them says which seals. */
  joined(other: KeyRing): KeyRing {
    const [fewer, more] = other.size > this.size ? [this, other] : [other, this];
    const ring = new KeyRing([...fewer.#keys.values()]);
    for (const key of more.#keys.values()) ring.#add(Buffer.from(key));
    return ring;
  }

  /** Overwrites the keys. What is asked for afterwards is not there. */
  wipe(): void {
    for (const key of this.#keys.values()) key.fill(0);
    this.#keys.clear();
  }

  /** The last one is current, also when the ring is encoded and decoded. */
  #add(key: Buffer): void {
    this.#current = idOf(key);
    this.#keys.get(this.#current)?.fill(0);
    this.#keys.delete(this.#current);
    this.#keys.set(this.#current, key);
  }
}
