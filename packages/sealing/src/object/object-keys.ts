import { hkdfSync } from 'node:crypto';
import { KEY_BYTES, type KeyRing } from '../keys/key-ring.js';
import { ChunkCipher } from './chunk-cipher.js';
import { newHeader, partsOf, type Header } from './layout.js';
import type { NewObject } from './seal.js';

/** An object that is opened: its header, and the cipher of its chunks. */
export type KnownObject = NewObject;

/** Keys of objects that are kept, so that a read in the middle of an object need not read its header too. */
const MOST_KEPT = 512;

/** Derives the key of each object from the repository's, the object's salt, its name and its scope. */
export class ObjectKeys {
  /** By name, least recently used first. */
  readonly #kept = new Map<string, { readonly object: KnownObject; readonly secret: Buffer }>();

  /** `scopeOf` says to what, beside its name, an object is bound. */
  constructor(
    private readonly ring: KeyRing,
    private readonly scopeOf: (name: string) => string,
  ) {}

  /** For an object that is about to be sealed. */
  create(name: string): KnownObject {
    return this.#derive(newHeader(this.ring.currentId), name).object;
  }

  /** For an object with this header. KEY_WRONG. */
  of(header: Header, name: string): KnownObject {
    const kept = this.kept(name);
    return kept?.header.bytes.equals(header.bytes) ? kept : this.keep(name, this.#derive(header, name));
  }

  /** Of an object whose header was seen; it may be another's by now. */
  kept(name: string): KnownObject | undefined {
    const found = this.#kept.get(name);
    if (!found) return undefined;
    this.#kept.delete(name);
    this.#kept.set(name, found);
    return found.object;
  }

  /** Remembers an object that was put. */
  remember(name: string, { header }: KnownObject): void {
    this.keep(name, this.#derive(header, name));
  }

  forget(name: string): void {
    this.#kept.delete(name);
  }

  /** Overwrites what was derived. */
  wipe(): void {
    for (const { secret } of this.#kept.values()) secret.fill(0);
    this.#kept.clear();
  }

  private keep(name: string, derived: { object: KnownObject; secret: Buffer }): KnownObject {
    this.#kept.delete(name);
    this.#kept.set(name, derived);
    // A read under way may still use what is dropped here: it is not wiped.
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return derived.object;
  }

  #derive(header: Header, name: string): { object: KnownObject; secret: Buffer } {
    const { fixed, salt } = partsOf(header);
    const place = Buffer.from(`${this.scopeOf(name)}\0${name}`, 'utf8');
    const info = Buffer.concat([Buffer.from('fitdoc sealing-v1 object\0', 'latin1'), fixed, place]);
    const secret = Buffer.from(hkdfSync('sha256', this.ring.key(header.keyId), salt, info, KEY_BYTES));
    return { object: { header, cipher: new ChunkCipher(secret, name) }, secret };
  }
}
