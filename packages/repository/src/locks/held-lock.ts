import { randomBytes } from 'node:crypto';
import { FitdocError, type Store } from '@fitdoc/interface';
import type { Clock } from '../clock.js';
import { encodeLock, lockFolder, type LockExtent, type LockKind, type LockRecord } from './lock-record.js';

/** A lock object of ours in the store. */
export class HeldLock {
  readonly key: string;
  readonly kind: LockKind;
  readonly #store: Store;
  readonly #clock: Clock;
  #record: LockRecord;
  /** Our steady clock, and the store's, when it was written last. */
  #writtenAtMs = -Infinity;
  #storeAtMs = 0;
  #lost = false;

  private constructor(store: Store, clock: Clock, kind: LockKind, key: string, record: LockRecord) {
    this.#store = store;
    this.#clock = clock;
    this.kind = kind;
    this.key = key;
    this.#record = record;
  }

  static async write(
    store: Store,
    clock: Clock,
    scope: { readonly kind: LockKind; readonly machine: string | undefined },
    record: LockRecord,
    signal?: AbortSignal,
  ): Promise<HeldLock> {
    const key = `${lockFolder(scope.kind, scope.machine)}${randomBytes(8).toString('hex')}.json`;
    const lock = new HeldLock(store, clock, scope.kind, key, record);
    await lock.#put('absent', signal);
    return lock;
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
  async refresh(): Promise<void> {
    if (this.#lost) return;
    const stale = this.#clock.steady() - this.#writtenAtMs > this.#record.ttlMs;
    if (stale || !(await this.#store.stat(this.key))) this.#lost = true;
    else await this.#put('replace');
  }

  /** Says anew what the lock is over. Throws REPOSITORY_LOCKED when it may have been lost meanwhile. */
  async extend(extent: LockExtent, signal?: AbortSignal): Promise<void> {
    this.assertFresh();
    this.#record = { ...this.#record, ...extent };
    await this.#put('replace', signal);
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
    // A lock that cannot be removed goes stale by itself.
    await this.#store.delete(this.key, { forGood: true }).catch(() => undefined);
  }

  async #put(mode: 'absent' | 'replace', signal?: AbortSignal): Promise<void> {
    const begun = this.#clock.steady();
    const call = signal ? { signal, mode } : { mode };
    const stat = await this.#store.put(this.key, encodeLock(this.#record), call);
    this.#writtenAtMs = begun;
    this.#storeAtMs = stat.modifiedMs;
  }
}
