import {
  isFitdocError,
  type ByteRange,
  type CallOptions,
  type DeleteOptions,
  type DeleteFailure,
  type FitdocError,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
} from '@fitdoc/interface';
import { sleep, type Sleep } from './sleep.js';
import { WrappedStore } from './wrapped-store.js';

export interface RetryOptions {
  /** Calls in all, the first included. Default 6. */
  readonly attempts?: number;
  /** Milliseconds of the longest first wait; it doubles each time. Default 100. */
  readonly baseMs?: number;
  /** Milliseconds of the longest wait. Default 10 000. */
  readonly maxMs?: number;
  /** Told before each wait. */
  readonly onRetry?: (event: {
    readonly attempt: number;
    readonly waitMs: number;
    readonly error: FitdocError;
  }) => void;
  /** For tests: 0 up to 1. Default Math.random. */
  readonly random?: () => number;
  /** For tests. Default: a timer. */
  readonly sleep?: Sleep;
}

/**
 * Calls again what failed with an error that says that it may pass (`retryable`), after waits that grow and are
 * chosen at random below a bound ("full jitter"), so that many clients do not come back at once. A put of a
 * stream is repeated only while nothing of it was read. A listing goes on behind the last key.
 */
export function withRetry(store: Store, options: RetryOptions = {}): Store {
  return new RetryStore(store, options);
}

class RetryStore extends WrappedStore {
  readonly #attempts: number;
  readonly #base: number;
  readonly #max: number;

  constructor(
    inner: Store,
    private readonly options: RetryOptions,
  ) {
    super(inner);
    this.#attempts = options.attempts ?? 6;
    this.#base = options.baseMs ?? 100;
    this.#max = options.maxMs ?? 10_000;
  }

  override put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    if (body instanceof Uint8Array) {
      return this.#retry(options.signal, (attempt) => this.#putBytes(key, body, options, attempt));
    }
    let begun = false;
    const watched: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]() {
        begun = true;
        return body[Symbol.asyncIterator]();
      },
    };
    return this.#retry(
      options.signal,
      () => this.inner.put(key, watched, options),
      () => !begun,
    );
  }

  override get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#retry(options.signal, () => this.inner.get(key, range, options));
  }

  override stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    return this.#retry(options.signal, () => this.inner.stat(key, options));
  }

  override delete(key: string, options: DeleteOptions = {}): Promise<void> {
    return this.#retry(options.signal, () => this.inner.delete(key, options));
  }

  /** Repeats the call for the keys that may yet go. */
  override async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<DeleteFailure[]> {
    const lasting: DeleteFailure[] = [];
    let left = keys;
    for (let attempt = 1; ; attempt++) {
      const failures = await this.#retry(options.signal, () => super.deleteMany(left, options));
      const passing = failures.filter(({ error }) => error.retryable);
      lasting.push(...failures.filter(({ error }) => !error.retryable));
      if (!passing[0] || attempt >= this.#attempts) return [...lasting, ...passing];
      await this.#waitAfter(passing[0].error, attempt, options.signal);
      left = passing.map(({ key }) => key);
    }
  }

  override async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectStat> {
    let last: string | undefined;
    for (let failures = 0; ;) {
      try {
        const from = last === undefined ? {} : { startAfter: last };
        for await (const stat of this.inner.list(prefix, { ...options, ...from })) {
          // Keys are ASCII and listed in order.
          if (last !== undefined && stat.key <= last) continue;
          last = stat.key;
          failures = 0;
          yield stat;
        }
        return;
      } catch (error) {
        await this.#waitAfter(error, ++failures, options.signal);
      }
    }
  }

  /** An attempt that failed may have stored the object all the same; then the next finds our own bytes there. */
  async #putBytes(key: string, body: Uint8Array, options: PutOptions, attempt: number): Promise<ObjectStat> {
    try {
      return await this.inner.put(key, body, options);
    } catch (error) {
      if (attempt === 1 || !isFitdocError(error, 'STORE_EXISTS')) throw error;
      const call = options.signal ? { signal: options.signal } : {};
      const stat = await this.inner.stat(key, call);
      if (stat?.size !== body.length) throw error;
      const there = await this.inner.get(key, undefined, call);
      if (Buffer.compare(there, body) !== 0) throw error;
      return stat;
    }
  }

  async #retry<T>(
    signal: AbortSignal | undefined,
    body: (attempt: number) => Promise<T>,
    mayRepeat: () => boolean = () => true,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await body(attempt);
      } catch (error) {
        if (!mayRepeat()) throw error;
        await this.#waitAfter(error, attempt, signal);
      }
    }
  }

  async #waitAfter(error: unknown, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    if (!isFitdocError(error) || !error.retryable || attempt >= this.#attempts) throw error;
    const bound = Math.min(this.#max, this.#base * 2 ** (attempt - 1));
    const waitMs = bound * (this.options.random ?? Math.random)();
    this.options.onRetry?.({ attempt, waitMs, error });
    await (this.options.sleep ?? sleep)(waitMs, signal);
  }
}
