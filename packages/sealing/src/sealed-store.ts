import {
  checkRange,
  deleteAll,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type ByteRange,
  type CallOptions,
  type DeleteFailure,
  type DeleteOptions,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
  type StoreSupports,
} from '@fitdoc/interface';
import type { KeyRing } from './keys/key-ring.js';
import { HEADER_BYTES, parseHeader, plainSize, sealedSize } from './object/layout.js';
import { ObjectKeys, type KnownObject } from './object/object-keys.js';
import { openRange, openWhole, stretchOf, type Stretch } from './object/open.js';
import { sealBytes, sealStream } from './object/seal.js';

export interface SealedStoreOptions {
  readonly ring: KeyRing;
  /** Which objects are sealed; all others pass as they are. Default: all. */
  readonly isSealed?: (key: string) => boolean;
  /**
   * What an object is bound to beside its key: the repository's id, say. Objects with the same key and scope may take
   * each other's place in any store of the same ring. Default: nothing.
   */
  readonly scopeOf?: (key: string) => string;
}

/** An object may be replaced again and again while its parts are read. */
const ATTEMPTS = 16;

/**
 * A store whose objects lie sealed in another: sizes and ranges are those of what is in them. Reads besides the
 * store's errors: FORMAT_FOREIGN for an object that is not sealed, FORMAT_DAMAGED, FORMAT_TRUNCATED, FORMAT_VERSION,
 * and KEY_WRONG for one that is sealed with a key that the ring lacks. The ring stays the caller's.
 */
export class SealedStore implements Store {
  readonly specificationVersion = 'store-v1';
  /** The store below, in which the sealed bytes lie. */
  readonly beneath: Store;
  readonly #keys: ObjectKeys;
  readonly #isSealed: (key: string) => boolean;
  #isClosed = false;

  constructor(beneath: Store, { ring, isSealed, scopeOf }: SealedStoreOptions) {
    this.beneath = beneath;
    this.#keys = new ObjectKeys(ring, scopeOf ?? (() => ''));
    this.#isSealed = isSealed ?? (() => true);
  }

  get supports(): StoreSupports {
    return this.beneath.supports;
  }

  get location(): string {
    return this.beneath.location;
  }

  async put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    if (!this.#isSealed(key)) return this.beneath.put(key, body, options);
    this.#check(options.signal);
    const object = this.#keys.create(key);
    const isWhole = body instanceof Uint8Array;
    const sealed = isWhole ? sealBytes(body, object) : sealStream(body, object, options.signal);
    const hint = options.sizeHint === undefined ? {} : { sizeHint: sealedSize(options.sizeHint) };
    const stat = await this.beneath.put(key, sealed, { ...options, ...hint });
    if (!this.#isClosed) this.#keys.remember(key, object);
    return { ...stat, size: plainSize(stat.size) };
  }

  async get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    if (!this.#isSealed(key)) return this.beneath.get(key, range, options);
    if (!range) return this.#getWhole(key, options);
    checkRange(range);
    const stretch = range.length === 0 ? undefined : stretchOf(range);
    if (!stretch) {
      await this.#header(key, options);
      return new Uint8Array();
    }
    return stretch.firstChunk === 0
      ? this.#getStart(key, stretch, range, options)
      : this.#getMiddle(key, stretch, range, options);
  }

  async stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined> {
    const stat = await this.beneath.stat(key, options);
    return stat && this.#plain(stat);
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectStat> {
    for await (const stat of this.beneath.list(prefix, options)) yield this.#plain(stat);
  }

  delete(key: string, options?: DeleteOptions): Promise<void> {
    this.#keys.forget(key);
    return this.beneath.delete(key, options);
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<DeleteFailure[]> {
    for (const key of keys) this.#keys.forget(key);
    return deleteAll(this.beneath, keys, options);
  }

  anchor(key: string, isOurs: (bytes: Uint8Array) => boolean): void {
    const isOursSealed = (bytes: Uint8Array): boolean => {
      try {
        return isOurs(this.#openAll(key, bytes));
      } catch {
        return false;
      }
    };
    this.beneath.anchor?.(key, this.#isSealed(key) ? isOursSealed : isOurs);
  }

  /** Closes the store below as well. */
  async close(): Promise<void> {
    await this.beneath.close();
    this.forget();
  }

  /** Ends reading and writing, and overwrites the keys of objects; the store below stays open. */
  forget(): void {
    this.#isClosed = true;
    this.#keys.wipe();
  }

  async #getWhole(key: string, options: CallOptions): Promise<Uint8Array> {
    const bytes = await this.beneath.get(key, undefined, options);
    this.#check(options.signal);
    return this.#openAll(key, bytes);
  }

  #openAll(key: string, bytes: Uint8Array): Uint8Array {
    const { cipher } = this.#keys.of(parseHeader(bytes, key), key);
    return openWhole(bytes.subarray(HEADER_BYTES), cipher, key);
  }

  /** The header lies before the first chunk, so that one read brings both. */
  async #getStart(
    key: string,
    stretch: Stretch,
    range: ByteRange,
    options: CallOptions,
  ): Promise<Uint8Array> {
    const part = { offset: 0, length: Math.min(HEADER_BYTES + stretch.length, Number.MAX_SAFE_INTEGER) };
    const bytes = await this.beneath.get(key, part, options);
    this.#check(options.signal);
    const { cipher } = this.#keys.of(parseHeader(bytes, key), key);
    if (bytes.length === HEADER_BYTES) return openWhole(bytes.subarray(HEADER_BYTES), cipher, key);
    return openRange(bytes.subarray(HEADER_BYTES), stretch, range, cipher, key);
  }

  /** Header and chunks are two reads, between which the object may have become another. */
  async #getMiddle(
    key: string,
    stretch: Stretch,
    range: ByteRange,
    options: CallOptions,
  ): Promise<Uint8Array> {
    const { offset, length } = stretch;
    let known = this.#keys.kept(key);
    for (let attempt = 1; ; attempt++) {
      const [object, bytes] = await Promise.all([
        known ?? this.#header(key, options),
        this.beneath.get(key, { offset, length }, options),
      ]);
      this.#check(options.signal);
      try {
        return openRange(bytes, stretch, range, object.cipher, key);
      } catch (error) {
        if (!isFitdocError(error, 'FORMAT_DAMAGED') || attempt >= ATTEMPTS) throw error;
        known = await this.#header(key, options);
        if (known.header.bytes.equals(object.header.bytes)) throw error;
      }
    }
  }

  async #header(key: string, options: CallOptions): Promise<KnownObject> {
    const start = await this.beneath.get(key, { offset: 0, length: HEADER_BYTES }, options);
    this.#check(options.signal);
    return this.#keys.of(parseHeader(start, key), key);
  }

  #plain(stat: ObjectStat): ObjectStat {
    return this.#isSealed(stat.key) ? { ...stat, size: plainSize(stat.size) } : stat;
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new FitdocError('STORE_CLOSED', `The store ${this.location} is closed.`);
    throwIfAborted(signal);
  }
}
