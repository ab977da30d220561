import {
  bodyChunks,
  checkKey,
  checkRange,
  checkStartAfter,
  FitdocError,
  throwIfAborted,
  type ByteRange,
  type CallOptions,
  type DeleteFailure,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
  type StoreSupports,
} from '@fitdoc/interface';

export interface MemoryStoreOptions {
  /** What `location` says. Default `memory:`. */
  readonly location?: string;
  /** Bytes that all objects together may have; a put beyond it fails with STORE_FULL. Default: no limit. */
  readonly capacityBytes?: number;
  /** Milliseconds since 1970, for `modifiedMs`. Default Date.now. */
  readonly now?: () => number;
  /** Objects of another MemoryStore to share: a second handle on the same place. */
  readonly shareWith?: MemoryStore;
}

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modifiedMs: number;
}

const SUPPORTS: StoreSupports = Object.freeze({ conditionalPut: true, durable: false });

/** A store whose objects live in this process and end with it. */
export class MemoryStore implements Store {
  readonly specificationVersion = 'store-v1';
  readonly supports = SUPPORTS;
  readonly location: string;
  readonly #objects: Map<string, StoredObject>;
  readonly #capacity: number;
  readonly #now: () => number;
  #closed = false;

  constructor(options: MemoryStoreOptions = {}) {
    this.location = options.location ?? 'memory:';
    this.#objects = options.shareWith ? options.shareWith.#objects : new Map<string, StoredObject>();
    this.#capacity = options.capacityBytes ?? Infinity;
    this.#now = options.now ?? Date.now;
  }

  async put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    this.#begin(options.signal, key);
    const mayReplace = options.mode === 'replace';
    if (!mayReplace) this.#refuseExisting(key);
    const bytes = await this.#collect(key, body, options.signal);
    this.#begin(options.signal, key);
    if (!mayReplace) this.#refuseExisting(key);
    this.#refuseOverflow(key, bytes.length);
    const stored = { bytes, modifiedMs: this.#now() };
    this.#objects.set(key, stored);
    return statOf(key, stored);
  }

  async get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    this.#begin(options.signal, key);
    const stored = this.#objects.get(key);
    if (!stored) {
      throw new FitdocError('STORE_NOT_FOUND', `There is no object ${key} in ${this.location}.`, {
        details: { key },
      });
    }
    if (!range) return stored.bytes.slice();
    checkRange(range);
    return stored.bytes.slice(range.offset, range.offset + range.length);
  }

  async stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    this.#begin(options.signal, key);
    const stored = this.#objects.get(key);
    return stored && statOf(key, stored);
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectStat> {
    this.#begin(options.signal);
    checkStartAfter(options.startAfter);
    // Keys are ASCII, so the order of UTF-16 units is the order of bytes.
    const after = options.startAfter ?? '';
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    for (const key of keys) {
      this.#begin(options.signal);
      const stored = this.#objects.get(key);
      if (stored) yield statOf(key, stored);
    }
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    this.#begin(options.signal, key);
    this.#objects.delete(key);
  }

  async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<DeleteFailure[]> {
    for (const key of keys) checkKey(key);
    this.#begin(options.signal);
    for (const key of keys) this.#objects.delete(key);
    return [];
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #begin(signal: AbortSignal | undefined, key?: string): void {
    if (this.#closed) throw new FitdocError('STORE_CLOSED', `The store ${this.location} is closed.`);
    throwIfAborted(signal);
    if (key !== undefined) checkKey(key);
  }

  #refuseExisting(key: string): void {
    if (!this.#objects.has(key)) return;
    throw new FitdocError('STORE_EXISTS', `There is an object ${key} in ${this.location} already.`, {
      details: { key },
    });
  }

  #refuseOverflow(key: string, length: number): void {
    if (this.#capacity === Infinity) return;
    let used = length - (this.#objects.get(key)?.bytes.length ?? 0);
    for (const { bytes } of this.#objects.values()) used += bytes.length;
    if (used <= this.#capacity) return;
    throw new FitdocError('STORE_FULL', `${this.location} may hold ${this.#capacity} bytes, and is full.`, {
      hint: 'Prune checkpoints, or open the store with a larger capacityBytes.',
      details: { capacityBytes: this.#capacity },
    });
  }

  async #collect(key: string, body: StoreBody, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of bodyChunks(body, signal)) {
      length += chunk.length;
      this.#refuseOverflow(key, length);
      // A Buffer's slice would be a view of the caller's memory.
      parts.push(new Uint8Array(chunk));
    }
    if (parts.length === 1) return parts[0]!;
    const whole = new Uint8Array(length);
    let offset = 0;
    for (const part of parts) {
      whole.set(part, offset);
      offset += part.length;
    }
    return whole;
  }
}

function statOf(key: string, stored: StoredObject): ObjectStat {
  return { key, size: stored.bytes.length, modifiedMs: stored.modifiedMs };
}
