import {
  FitdocError,
  type ByteRange,
  type CallOptions,
  type DeleteOptions,
  type DeleteFailure,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
} from '@fitdoc/interface';
import { sleep } from './sleep.js';
import { WrappedStore } from './wrapped-store.js';

export type StoreOperation = 'put' | 'get' | 'stat' | 'list' | 'delete' | 'deleteMany';

/** What is to go wrong with a call. */
export interface Fault {
  /** Milliseconds to wait first. */
  readonly delayMs?: number;
  /** What to fail with; none: only the delay. */
  readonly error?: Error;
  /**
   * `before` (the default): nothing is done. `after`: it is done, and the caller told that it failed, as when an
   * answer is lost. A number: a put fails when so many bytes of the body were taken; a list, after so many
   * objects; a deletion of many, after so many of them.
   */
  readonly when?: 'before' | 'after' | number;
}

/** Decides the fate of call number `count` (from 1, over all operations). */
export type FaultPlan = (call: {
  readonly operation: StoreOperation;
  readonly key: string;
  readonly count: number;
}) => Fault | undefined;

/** A store that fails when the plan says so: to test what stands on a store. */
export function withFaults(store: Store, plan: FaultPlan): Store {
  return new FaultyStore(store, plan);
}

export interface RandomFaultOptions {
  readonly seed: number;
  /** Share of calls that fail, 0 to 1. */
  readonly rate: number;
  /** Default: all. */
  readonly operations?: readonly StoreOperation[];
  /** Also let calls be done and reported as failed. Default false. */
  readonly loseAnswers?: boolean;
  /** Default: STORE_UNAVAILABLE, retryable. */
  readonly error?: () => Error;
}

/** A plan in which calls fail at random, the same for the same seed. */
export function randomFaults(options: RandomFaultOptions): FaultPlan {
  let state = (options.seed * 2654435761 + 1) >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return ({ operation }) => {
    const [chosen, late] = [random() < options.rate, random() < 0.5];
    if (!chosen || (options.operations && !options.operations.includes(operation))) return undefined;
    const error =
      options.error?.() ?? new FitdocError('STORE_UNAVAILABLE', 'An injected fault.', { retryable: true });
    return { error, when: options.loseAnswers && late ? 'after' : 'before' };
  };
}

class FaultyStore extends WrappedStore {
  #count = 0;

  constructor(
    inner: Store,
    private readonly plan: FaultPlan,
  ) {
    super(inner);
  }

  override put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    return this.#call('put', key, options.signal, (fault) => {
      const { when, error } = fault ?? {};
      const cut = typeof when === 'number' && error ? failingAfter(body, when, error) : body;
      return this.inner.put(key, cut, options);
    });
  }

  override get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#call('get', key, options.signal, () => this.inner.get(key, range, options));
  }

  override stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    return this.#call('stat', key, options.signal, () => this.inner.stat(key, options));
  }

  override delete(key: string, options: DeleteOptions = {}): Promise<void> {
    return this.#call('delete', key, options.signal, () => this.inner.delete(key, options));
  }

  override async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectStat> {
    const fault = await this.#begin('list', prefix, options.signal);
    let left = typeof fault?.when === 'number' ? fault.when : Infinity;
    for await (const stat of this.inner.list(prefix, options)) {
      if (left-- <= 0 && fault?.error) throw fault.error;
      yield stat;
    }
    if (fault?.error !== undefined) throw fault.error;
  }

  override async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<DeleteFailure[]> {
    return this.#call('deleteMany', keys[0] ?? '', options.signal, (fault) => {
      const count = typeof fault?.when === 'number' && fault.error ? fault.when : keys.length;
      return super.deleteMany(keys.slice(0, count), options);
    });
  }

  async #call<T>(
    operation: StoreOperation,
    key: string,
    signal: AbortSignal | undefined,
    body: (fault: Fault | undefined) => Promise<T>,
  ): Promise<T> {
    const fault = await this.#begin(operation, key, signal);
    const result = await body(fault);
    if (fault?.error !== undefined) throw fault.error;
    return result;
  }

  /** Waits and fails as the plan says; gives what is still to come. */
  async #begin(operation: StoreOperation, key: string, signal?: AbortSignal): Promise<Fault | undefined> {
    const fault = this.plan({ operation, key, count: ++this.#count });
    if (fault?.delayMs !== undefined) await sleep(fault.delayMs, signal);
    if (fault?.error !== undefined && (fault.when ?? 'before') === 'before') throw fault.error;
    return fault;
  }
}

async function* failingAfter(body: StoreBody, bytes: number, error: Error): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    if (chunk.length >= left) {
      yield chunk.subarray(0, left);
      throw error;
    }
    left -= chunk.length;
    yield chunk;
  }
}
