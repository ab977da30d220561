import { isFitdocError, type Store } from '@fitdoc/interface';
import type { Clock } from '../clock.js';
import { HeldLock } from './held-lock.js';
import {
  findLocks,
  lifeOf,
  LOCK_TTL_MS,
  lockedError,
  type FoundLock,
  type LockExtent,
  type LockKind,
} from './lock-record.js';
import { thisProcess, type LockOwner } from './process-identity.js';
import { Silence } from './silence.js';

const POLL_MS = 100;

export interface LockRequest {
  readonly kind: LockKind;
  readonly machine: string | undefined;
  readonly purpose: string;
  readonly extent: LockExtent;
}

/** The lock objects in the store: writing ours, and finding those of others. */
export class LockTable {
  readonly clock: Clock;
  readonly #store: Store;
  readonly #owner: LockOwner = thisProcess();
  readonly #silence: Silence;
  readonly #live = new Set<string>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.clock = clock;
    this.#silence = new Silence(clock);
  }

  write({ kind, machine, purpose, extent }: LockRequest, signal?: AbortSignal): Promise<HeldLock> {
    const createdAtMs = this.clock.now();
    const record = { purpose, createdAtMs, ttlMs: LOCK_TTL_MS, owner: this.#owner, ...extent };
    const place = { store: this.#store, clock: this.clock, live: this.#live };
    return HeldLock.write(place, { kind, machine }, record, signal);
  }

  /** As `write`, but undefined instead of an error of one of these codes. */
  async writeUnless(
    codes: readonly string[],
    request: LockRequest,
    signal?: AbortSignal,
  ): Promise<HeldLock | undefined> {
    try {
      return await this.write(request, signal);
    } catch (error) {
      if (isFitdocError(error) && codes.includes(error.code)) return undefined;
      throw error;
    }
  }

  isOurs({ record }: FoundLock): boolean {
    return record?.owner.instance === this.#owner.instance;
  }

  /** Locks that hold now, or may: one that seems silent does until it was watched. Those left behind are removed. */
  async living(
    kind: LockKind,
    machine: string | undefined,
    storeNowMs: number,
    signal?: AbortSignal,
  ): Promise<FoundLock[]> {
    const living: FoundLock[] = [];
    for (const lock of await findLocks(this.#store, kind, machine, signal)) {
      if (this.#holds(lock, storeNowMs)) {
        living.push(lock);
        continue;
      }
      this.#silence.forget(lock.key);
      await this.#store.delete(lock.key, { forGood: true }).catch(() => undefined);
    }
    return living;
  }

  #holds(lock: FoundLock, storeNowMs: number): boolean {
    if (this.isOurs(lock)) return this.#live.has(lock.key);
    const life = lifeOf(lock, storeNowMs);
    if (life === 'living') this.#silence.forget(lock.key);
    return life === 'living' || (life === 'silent' && !this.#silence.isOver(lock));
  }

  /** Waits until of none of the locks it is in doubt whether it was left behind. */
  async settled(
    kind: LockKind,
    machine: string | undefined,
    own: HeldLock | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const living = await this.living(kind, machine, this.nowMs(own), signal);
      if (!living.some((lock) => this.#silence.isWatched(lock))) return;
      await this.clock.sleep(POLL_MS, signal);
    }
  }

  /** Others' locks that hold now, by the clock of the store as `own` knows it. On failure `own` is released. */
  async others(
    own: HeldLock | undefined,
    kind: LockKind,
    machine: string | undefined,
    signal?: AbortSignal,
  ): Promise<FoundLock[]> {
    try {
      const living = await this.living(kind, machine, this.nowMs(own), signal);
      return living.filter((lock) => lock.key !== own?.key);
    } catch (error) {
      await own?.release();
      throw error;
    }
  }

  nowMs(own: HeldLock | undefined): number {
    return own?.storeNowMs() ?? this.clock.now();
  }

  /**
   * Sleeps a little; REPOSITORY_LOCKED, naming `lock`, when the deadline is over. What may have been left behind is
   * watched to the end of that: who comes later would have to begin anew.
   */
  async waitFor(lock: FoundLock, storeNowMs: number, deadline: number, signal?: AbortSignal): Promise<void> {
    if (this.clock.steady() >= deadline && !this.#silence.isWatched(lock))
      throw lockedError(lock, storeNowMs);
    // Not the same for two that met, so that they do not meet again and again.
    await this.clock.sleep(POLL_MS * (0.5 + Math.random()), signal);
  }
}
