import { randomBytes } from 'node:crypto';
import { FitdocError, type Store } from '@fitdoc/interface';
import type { Clock } from '../clock.js';
import { encodeLock, lockFolder, type LockExtent, type LockKind, type LockRecord } from './lock-record.js';

/** Where locks are written. */
export interface LockPlace {
  readonly store: Store;
  readonly clock: Clock;
  /** Keys of the locks that are held: of ours, all others were left behind. */
  readonly live: Set<string>;
}

/** A lock object of ours in the store. */
export class HeldLock {
  readonly key: string;
  readonly kind: LockKind;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #live: Set<string>;
  #record: LockRecord;
  /** Our steady clock, and the store's, when it was written last. */
  #writtenAtMs = -Infinity;
  #storeAtMs = 0;
  #lost = false;
  /** Settles when the last write that was asked for has ended. */
  #written: Promise<unknown> = Promise.resolve();

  private constructor({ store, clock, live }: LockPlace, kind: LockKind, key: string, record: LockRecord) {
    this.#store = store;
    this.#clock = clock;
    this.#live = live;
    this.kind = kind;
    this.key = key;
    this.#record = record;
  }

  static async write(
    place: LockPlace,
    scope: { readonly kind: LockKind; readonly machine: string | undefined },
    record: LockRecord,
    signal?: AbortSignal,
  ): Promise<HeldLock> {
    const key = `${lockFolder(scope.kind, scope.machine)}${randomBytes(8).toString('hex')}.json`;
    const lock = new HeldLock(place, scope.kind, key, record);
    place.live.add(key);
    try {
      await lock.#put('absent', signal);
      return lock;
    } catch (error) {
      // Its object may stand all the same.
      place.live.delete(key);
      throw error;
    }
  }

  /** The time by the store's clock, by which all holders' locks age: no two hosts' clocks are compared. */
  storeNowMs(): number {
    return this.#storeAtMs + (this.#clock.steady() - this.#writtenAtMs);
  }

  /** Whether nobody can have taken the lock for stale yet, with a third of its life to spare. */
  isFresh(): boolean {
    const age = this.#clock.steady() - this.#writtenAtMs;
    return !this.#lost && age >= 0 && age < (this.#record.ttlMs * 2) / 3;
  }

  /** Throws REPOSITORY_LOCKED when the lock may have been lost: whoever holds it must change nothing more. */
  assertFresh(): void {
    if (this.isFresh()) return;
    throw new FitdocError(
      'REPOSITORY_LOCKED',
      'The lock on the repository was lost: it could not be refreshed.',
      {
        retryable: true,
        hint: 'Try again; what was done so far is complete in itself.',
        details: { key: this.key },
      },
    );
  }

  /** Shows that we live. A lock that went stale or was taken away is not written again. */
  refresh(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#lost) return;
      const stale = this.#clock.steady() - this.#writtenAtMs > this.#record.ttlMs;
      if (stale || !(await this.#store.stat(this.key))) this.#lost = true;
      if (!this.#lost) await this.#put('replace');
    });
  }

  /** Says anew what the lock is over. Throws REPOSITORY_LOCKED when it may have been lost meanwhile. */
  async extend(extent: LockExtent, signal?: AbortSignal): Promise<void> {
    await this.#inTurn(async () => {
      this.assertFresh();
      this.#record = { ...this.#record, ...extent };
      await this.#put('replace', signal);
    });
  }

  /** What `extend` will say at the next refresh. */
  set extent(extent: LockExtent) {
    this.#record = { ...this.#record, ...extent };
  }

  ageMs(): number {
    return this.#clock.steady() - this.#writtenAtMs;
  }

  async release(): Promise<void> {
    this.#lost = true;
    // Not before a refresh under way has ended: it would bring back what was removed.
    await this.#inTurn(() => this.#store.delete(this.key, { forGood: true })).catch(() => undefined);
    // One that could not be removed is known by this as left behind; for others it goes stale by itself.
    this.#live.delete(this.key);
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const writing = this.#written.then(write);
    this.#written = writing.catch(() => undefined);
    return writing;
  }

  async #put(mode: 'absent' | 'replace', signal?: AbortSignal): Promise<void> {
    const begun = this.#clock.steady();
    const call = signal ? { signal, mode } : { mode };
    const stat = await this.#store.put(this.key, encodeLock(this.#record), call);
    this.#writtenAtMs = begun;
    this.#storeAtMs = stat.modifiedMs;
  }
}
