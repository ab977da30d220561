import type {
  ByteRange,
  CallOptions,
  DeleteOptions,
  DeleteFailure,
  ObjectStat,
  PutOptions,
  Store,
  StoreBody,
} from '@fitdoc/interface';
import { WrappedStore } from './wrapped-store.js';

export interface ReadCacheOptions {
  /** Bytes that the cache may hold. Default 64 MiB. */
  readonly maxBytes?: number;
  /**
   * Which keys may be cached: those whose objects nobody else replaces. An object that another process deletes
   * may still be read from the cache. Default: checkpoints, `*.fitdoc`.
   */
  readonly cacheable?: (key: string) => boolean;
}

/** A store, and how its cache fares. */
export interface CachedStore extends Store {
  readonly cache: { readonly hits: number; readonly misses: number; readonly bytes: number };
}

const WHOLE = 'whole';

/** Keeps what was read last in memory: whole objects, and ranges as they were asked for. */
export function withReadCache(store: Store, options: ReadCacheOptions = {}): CachedStore {
  return new ReadCacheStore(store, options);
}

class ReadCacheStore extends WrappedStore implements CachedStore {
  readonly #maxBytes: number;
  readonly #cacheable: (key: string) => boolean;
  /** By key and part; a Map keeps the order, least recently used first. */
  readonly #parts = new Map<string, Uint8Array>();
  readonly #partsOfKey = new Map<string, Set<string>>();
  /** Puts and deletes under way, and how many there were: a read that overlaps one is not kept. */
  readonly #writing = new Map<string, number>();
  #writes = 0;
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  #closed = false;

  constructor(inner: Store, options: ReadCacheOptions) {
    super(inner);
    this.#maxBytes = options.maxBytes ?? 64 << 20;
    this.#cacheable = options.cacheable ?? ((key) => key.endsWith('.fitdoc'));
  }

  get cache(): { hits: number; misses: number; bytes: number } {
    return { hits: this.#hits, misses: this.#misses, bytes: this.#bytes };
  }

  override async get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    const known = this.#closed || options.signal?.aborted ? undefined : this.#find(key, range);
    if (known) {
      this.#hits++;
      return known.slice();
    }
    const writes = this.#writes;
    const bytes = await this.inner.get(key, range, options);
    this.#misses++;
    const quiet = writes === this.#writes && !this.#writing.has(key);
    if (quiet && !this.#closed && this.#cacheable(key)) this.#keep(key, partOf(range), new Uint8Array(bytes));
    return bytes;
  }

  override put(key: string, body: StoreBody, options?: PutOptions): Promise<ObjectStat> {
    return this.#changing([key], () => this.inner.put(key, body, options));
  }

  override delete(key: string, options?: DeleteOptions): Promise<void> {
    return this.#changing([key], () => this.inner.delete(key, options));
  }

  override deleteMany(keys: readonly string[], options?: CallOptions): Promise<DeleteFailure[]> {
    return this.#changing(keys, () => super.deleteMany(keys, options));
  }

  override close(): Promise<void> {
    this.#closed = true;
    this.#parts.clear();
    this.#partsOfKey.clear();
    this.#bytes = 0;
    return this.inner.close();
  }

  async #changing<T>(keys: readonly string[], body: () => Promise<T>): Promise<T> {
    for (const key of keys) {
      this.#forget(key);
      this.#writing.set(key, (this.#writing.get(key) ?? 0) + 1);
    }
    try {
      return await body();
    } finally {
      for (const key of keys) {
        const left = this.#writing.get(key)! - 1;
        if (left > 0) this.#writing.set(key, left);
        else this.#writing.delete(key);
      }
      this.#writes++;
    }
  }

  #find(key: string, range: ByteRange | undefined): Uint8Array | undefined {
    const whole = this.#touch(key, WHOLE);
    if (whole) return range ? whole.subarray(range.offset, range.offset + range.length) : whole;
    return range ? this.#touch(key, partOf(range)) : undefined;
  }

  #touch(key: string, part: string): Uint8Array | undefined {
    const name = `${key}\n${part}`;
    const bytes = this.#parts.get(name);
    if (!bytes) return undefined;
    this.#parts.delete(name);
    this.#parts.set(name, bytes);
    return bytes;
  }

  #keep(key: string, part: string, bytes: Uint8Array): void {
    // One large object must not drive out all others.
    if (bytes.length > this.#maxBytes / 4) return;
    const name = `${key}\n${part}`;
    this.#drop(name);
    this.#parts.set(name, bytes);
    this.#bytes += bytes.length;
    const parts = this.#partsOfKey.get(key);
    if (parts) parts.add(name);
    else this.#partsOfKey.set(key, new Set([name]));
    for (const oldest of this.#parts.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
  }

  #forget(key: string): void {
    for (const name of this.#partsOfKey.get(key) ?? []) this.#drop(name);
  }

  #drop(name: string): void {
    const bytes = this.#parts.get(name);
    if (!bytes) return;
    this.#parts.delete(name);
    this.#bytes -= bytes.length;
    const key = name.slice(0, name.indexOf('\n'));
    const parts = this.#partsOfKey.get(key);
    parts?.delete(name);
    if (parts?.size === 0) this.#partsOfKey.delete(key);
  }
}

function partOf(range: ByteRange | undefined): string {
  return range ? `${range.offset}+${range.length}` : WHOLE;
}
