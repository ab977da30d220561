import type { CallOptions } from './call.js';
import type { FitdocError } from './errors.js';

/** What a store can do beyond the least that the port asks for. Frozen; the same for the store's life. */
export interface StoreSupports {
  /** `put` of an absent key is atomic against other writers (else: check-then-put, last writer may win). */
  readonly conditionalPut: boolean;
  /** What `put` acknowledged survives a crash of the host. */
  readonly durable: boolean;
  /** What an operator should know of this place: what it lacks, who else can read it. Sentences; absent: nothing. */
  readonly notes?: readonly string[];
}

export interface ObjectStat {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When the object appeared, by the store's clock, in milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** A part of an object: `length` bytes from `offset`. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Bytes to store: whole, or a stream of chunks that is read once, with back-pressure. */
export type StoreBody = Uint8Array | AsyncIterable<Uint8Array>;

export interface PutOptions extends CallOptions {
  /**
   * `absent` (the default): fail with STORE_EXISTS when the key is there.
   * `replace`: atomically replace what is there.
   */
  readonly mode?: 'absent' | 'replace';
  /** Total bytes, where known beforehand; lets a store choose its way of writing. */
  readonly sizeHint?: number;
}

export interface ListOptions extends CallOptions {
  /**
   * Only keys behind this one (a key, or the beginning of one; it need not be there). Stores of an earlier
   * version of the port know nothing of it and list everything: `listAfter` sees to that.
   */
  readonly startAfter?: string;
}

export interface DeleteOptions extends CallOptions {
  /** It was of the moment, a lock say: a store that keeps versions of what is deleted keeps none of this. */
  readonly forGood?: boolean;
}

/** An object that could not be deleted, and why. */
export interface DeleteFailure {
  readonly key: string;
  readonly error: FitdocError;
}

/**
 * Keeps immutable objects under keys.
 *
 * A key is 1 to 512 characters of `A-Z a-z 0-9 . _ - /`; its segments, split at `/`, are not empty, do not
 * start with a dot. Any other key: ARGUMENT_INVALID. Every method after `close` rejects with STORE_CLOSED, an
 * aborted signal rejects with ABORTED. Methods may run concurrently.
 */
export interface Store {
  readonly specificationVersion: 'store-v1';
  readonly supports: StoreSupports;
  /** The location for messages, secrets removed. */
  readonly location: string;

  /**
   * Stores an object. When it resolves the object is complete, visible to every reader and, where `supports`
   * says so, durable.
   * On failure (also of `body`, and on abort) the key is as it was before, and nothing of the attempt is
   * ever listed. Errors: STORE_EXISTS, STORE_FULL, STORE_DENIED, STORE_UNAVAILABLE.
   */
  put(key: string, body: StoreBody, options?: PutOptions): Promise<ObjectStat>;

  /**
   * Reads an object, or the given range of it. A range that reaches past the end gives what there is (perhaps
   * nothing). The result is the caller's own memory. Errors: STORE_NOT_FOUND.
   */
  get(key: string, range?: ByteRange, options?: CallOptions): Promise<Uint8Array>;

  /** The object's size and time, or undefined when there is none. */
  stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined>;

  /**
   * Lists the objects whose key starts with `prefix` (a plain string prefix), in ascending order of the keys'
   * UTF-8 bytes. Objects that appear or vanish meanwhile may or may not be listed; all others are, once.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectStat>;

  /** Deletes an object; one that is not there is no error. Durable like `put`. */
  delete(key: string, options?: DeleteOptions): Promise<void>;

  /**
   * Deletes many objects in few requests, where the store has a way to; `deleteAll` does for any store. The
   * order is the store's. Gives those that could not be deleted; whether the rest went is certain. When it
   * rejects, it is not known which are gone.
   */
  deleteMany?(keys: readonly string[], options?: CallOptions): Promise<DeleteFailure[]>;

  /**
   * From now on the store answers only while `isOurs` accepts the bytes of the object `key`. For places that can
   * become others: a file system that is unmounted, or another that is mounted over it. Meanwhile calls reject
   * with STORE_UNAVAILABLE, retryable, `details.place` being `missing` or `another`; when the place is back they
   * go on. A store whose place cannot change has no such method.
   */
  anchor?(key: string, isOurs: (bytes: Uint8Array) => boolean): void;

  /** Releases what the store holds. Idempotent; calls in flight finish or reject with STORE_CLOSED. */
  close(): Promise<void>;
}

export interface OpenStoreOptions extends CallOptions {
  /** Make the place (a directory; never a bucket) when it is missing. Default false: STORE_NOT_FOUND. */
  readonly create?: boolean;
  /** Adapter-specific settings, documented by the adapter. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** What a store package exports as `storeFactory`. */
export interface StoreFactory {
  readonly specificationVersion: 'store-v1';
  /** The part before the colon in `scheme:location`. */
  readonly scheme: string;
  /**
   * Opens the store at `location` (what follows `scheme:`). Touches nothing but the place itself.
   * Errors: LOCATION_INVALID, STORE_NOT_FOUND, STORE_DENIED, STORE_UNAVAILABLE.
   */
  open(location: string, options?: OpenStoreOptions): Promise<Store>;
}
