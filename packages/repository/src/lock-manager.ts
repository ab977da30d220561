import { isFitdocError, type Store } from '@fitdoc/interface';
import type { Clock } from './clock.js';
import { HeldLock } from './held-lock.js';
import { LocalGate } from './local-gate.js';
import {
  busyError,
  findLocks,
  isStale,
  LOCK_TTL_MS,
  lockedError,
  touches,
  type FoundLock,
  type LockKind,
} from './lock-record.js';
import { thisProcess, type LockOwner } from './process-identity.js';

export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds to wait for others. */
  readonly waitMs?: number;
  /**
   * For those who only read: go on without a lock when the store is too full for one. Nobody can lose data by
   * that; a prune may end the reading.
   */
  readonly evenIfFull?: boolean;
}

/** A lock that is held until `release`. */
export interface Lease {
  /** Throws REPOSITORY_LOCKED when the lock may have been lost. */
  assertFresh(): void;
  /** Whether it was held without doubt all the time. */
  isFresh(): boolean;
  release(): Promise<void>;
}

/** A shared lock of this process on one machine, used by all its readers and writers of that machine. */
interface SharedHold {
  readonly lock: HeldLock | undefined;
  /** Calls that rely on it now; the one that took it counts from the beginning. */
  uses: number;
  lastUsedMs: number;
  /** Somebody waits for the lock: let go as soon as the uses under way end. */
  yielding: boolean;
}

const POLL_MS = 100;
const TICK_MS = 2_000;
const IDLE_MS = 10_000;
const DEFAULT_WAIT_MS = 30_000;

/**
 * Locks between processes, as objects in the store. Readers and writers of a machine share; removing is
 * exclusive. Both sides first write their own lock and then look for the other's, so one of two always sees the
 * other. A shared lock is kept between puts, and let go when somebody waits for it.
 */
export class LockManager {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #owner: LockOwner = thisProcess();
  readonly #gate = new LocalGate();
  readonly #shared = new Map<string, Promise<SharedHold>>();
  readonly #exclusive = new Set<HeldLock>();
  #stopTimer: (() => void) | undefined;
  #ticking = false;

  constructor(store: Store, clock: Clock, waitMs = DEFAULT_WAIT_MS) {
    this.#store = store;
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  /** Makes sure that nothing of the machine is removed until it is released. REPOSITORY_LOCKED. */
  async share(machine: string, purpose: string, options: LockOptions = {}): Promise<Lease> {
    const leave = await this.#gate.enter('shared', machine, options.signal);
    try {
      const hold = await this.#sharedHold(machine, purpose, options);
      let released = false;
      return {
        assertFresh: () => hold.lock?.assertFresh(),
        isFresh: () => hold.lock?.isFresh() ?? true,
        release: async () => {
          if (released) return;
          released = true;
          hold.uses--;
          hold.lastUsedMs = this.#clock.now();
          if (hold.uses === 0 && hold.yielding) await this.#drop(machine, hold);
          // The next one may find room for a lock.
          else if (hold.uses === 0 && !hold.lock) await this.#forget(machine, hold);
          leave();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Keeps everybody else from the machine, or from all of them. REPOSITORY_LOCKED. */
  async exclude(machine: string | undefined, purpose: string, options: LockOptions = {}): Promise<Lease> {
    const leave = await this.#enterAlone(machine, options);
    try {
      for (const [held, hold] of this.#shared) {
        if (machine === undefined || held === machine)
          await this.#drop(held, await hold.catch(() => undefined));
      }
      const lock = await this.#takeExclusive(machine, purpose, options);
      if (lock) this.#exclusive.add(lock);
      this.#startTimer();
      return {
        assertFresh: () => lock?.assertFresh(),
        isFresh: () => lock?.isFresh() ?? true,
        release: async () => {
          if (lock) this.#exclusive.delete(lock);
          await lock?.release();
          leave();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** All locks that hold now. Stale ones are removed. */
  async list(options: { readonly signal?: AbortSignal } = {}): Promise<FoundLock[]> {
    const now = this.#clock.now();
    const shared = await this.#living('shared', undefined, now, options.signal);
    return [...shared, ...(await this.#living('exclusive', undefined, now, options.signal))];
  }

  /** Lets go of everything. */
  async close(): Promise<void> {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    for (const [machine, hold] of this.#shared) await this.#drop(machine, await hold.catch(() => undefined));
    for (const lock of this.#exclusive) await lock.release();
    this.#exclusive.clear();
  }

  /** Waits for the users in this process, no longer than for those in others. */
  async #enterAlone(machine: string | undefined, options: LockOptions): Promise<() => void> {
    const { signal } = options;
    const patience = new AbortController();
    const ended = new AbortController();
    void this.#clock.sleep(options.waitMs ?? this.#waitMs, ended.signal).then(
      () => patience.abort(busyError(machine)),
      () => undefined,
    );
    const either = signal ? AbortSignal.any([signal, patience.signal]) : patience.signal;
    return this.#gate.enter('exclusive', machine, either).finally(() => ended.abort());
  }

  async #sharedHold(machine: string, purpose: string, options: LockOptions): Promise<SharedHold> {
    const deadline = this.#clock.now() + (options.waitMs ?? this.#waitMs);
    for (;;) {
      const current = this.#shared.get(machine);
      if (!current) break;
      const hold = await current.catch(() => undefined);
      const good = hold?.lock ? hold.lock.isFresh() : options.evenIfFull === true;
      if (hold && this.#shared.get(machine) === current && !hold.yielding && good) {
        hold.uses++;
        return hold;
      }
      if (hold?.lock && hold.uses > 0) await this.#clock.sleep(POLL_MS, options.signal);
      else if (this.#shared.get(machine) === current) await this.#drop(machine, hold);
    }
    const taking = this.#takeShared(machine, purpose, deadline, options);
    this.#shared.set(machine, taking);
    // Whoever finds a failed attempt tries for itself.
    taking.catch(() => this.#shared.get(machine) === taking && this.#shared.delete(machine));
    this.#startTimer();
    return taking;
  }

  async #takeShared(
    machine: string,
    purpose: string,
    deadline: number,
    { signal, evenIfFull }: LockOptions,
  ): Promise<SharedHold> {
    for (;;) {
      const lock = await this.#write('shared', machine, purpose, signal).catch((error: unknown) => {
        // A reader of a store that it may not write goes without: nobody removes what it cannot lock either.
        if (isFitdocError(error, 'STORE_DENIED')) return undefined;
        if (evenIfFull && isFitdocError(error, 'STORE_FULL')) return undefined;
        throw error;
      });
      const hold = { lock, uses: 1, lastUsedMs: this.#clock.now(), yielding: false };
      if (!lock) return hold;
      const others = await this.#othersOrRelease(lock, 'exclusive', machine, signal);
      if (others.length === 0) return hold;
      await lock.release();
      await this.#waitFor(others[0]!, lock.storeNowMs(), deadline, signal);
    }
  }

  async #takeExclusive(
    machine: string | undefined,
    purpose: string,
    options: LockOptions,
  ): Promise<HeldLock | undefined> {
    const { signal } = options;
    const deadline = this.#clock.now() + (options.waitMs ?? this.#waitMs);
    for (;;) {
      const lock = await this.#writeEvenIfFull(machine, purpose, signal);
      const now = lock?.storeNowMs() ?? this.#clock.now();
      const rivals = await this.#othersOrRelease(lock, 'exclusive', machine, signal);
      if (rivals.length > 0) {
        await lock?.release();
        await this.#waitFor(rivals[0]!, now, deadline, signal);
        continue;
      }
      // Users let go when they see our lock; until then it stays, so that no new ones come.
      let users = await this.#othersOrRelease(lock, 'shared', machine, signal);
      while (users.length > 0) {
        try {
          await this.#waitFor(users[0]!, lock?.storeNowMs() ?? this.#clock.now(), deadline, signal);
          if (lock && lock.ageMs() > LOCK_TTL_MS / 4) await lock.refresh();
        } catch (error) {
          await lock?.release();
          throw error;
        }
        users = await this.#othersOrRelease(lock, 'shared', machine, signal);
      }
      if (!lock || lock.isFresh()) return lock;
      await lock.release();
    }
  }

  /** On a full store removing must still be possible; there nobody else can write a lock either. */
  async #writeEvenIfFull(
    machine: string | undefined,
    purpose: string,
    signal?: AbortSignal,
  ): Promise<HeldLock | undefined> {
    try {
      return await this.#write('exclusive', machine, purpose, signal);
    } catch (error) {
      if (isFitdocError(error, 'STORE_FULL')) return undefined;
      throw error;
    }
  }

  #write(
    kind: LockKind,
    machine: string | undefined,
    purpose: string,
    signal?: AbortSignal,
  ): Promise<HeldLock> {
    const record = { purpose, createdAtMs: this.#clock.now(), ttlMs: LOCK_TTL_MS, owner: this.#owner };
    return HeldLock.write(this.#store, this.#clock, { kind, machine }, record, signal);
  }

  async #othersOrRelease(
    own: HeldLock | undefined,
    kind: LockKind,
    machine: string | undefined,
    signal?: AbortSignal,
  ): Promise<FoundLock[]> {
    try {
      const living = await this.#living(kind, machine, own?.storeNowMs() ?? this.#clock.now(), signal);
      return living.filter((lock) => lock.key !== own?.key);
    } catch (error) {
      await own?.release();
      throw error;
    }
  }

  async #living(
    kind: LockKind,
    machine: string | undefined,
    storeNowMs: number,
    signal?: AbortSignal,
  ): Promise<FoundLock[]> {
    const living: FoundLock[] = [];
    for (const lock of await findLocks(this.#store, kind, machine, signal)) {
      if (isStale(lock, storeNowMs)) await this.#store.delete(lock.key).catch(() => undefined);
      else living.push(lock);
    }
    return living;
  }

  async #waitFor(lock: FoundLock, storeNowMs: number, deadline: number, signal?: AbortSignal): Promise<void> {
    if (this.#clock.now() >= deadline) throw lockedError(lock, storeNowMs);
    // Not the same for two that met, so that they do not meet again and again.
    await this.#clock.sleep(POLL_MS * (0.5 + Math.random()), signal);
  }

  async #drop(machine: string, hold: SharedHold | undefined): Promise<void> {
    this.#shared.delete(machine);
    await hold?.lock?.release();
  }

  async #forget(machine: string, hold: SharedHold): Promise<void> {
    const current = this.#shared.get(machine);
    const found = await current?.catch(() => undefined);
    if (found === hold && this.#shared.get(machine) === current) this.#shared.delete(machine);
  }

  #startTimer(): void {
    this.#stopTimer ??= this.#clock.every(TICK_MS, () => void this.tick().catch(() => undefined));
  }

  /** What the timer does: refreshes locks, and lets go of those that are idle or waited for. */
  async tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      await this.#refreshAndYield();
    } finally {
      this.#ticking = false;
    }
  }

  async #refreshAndYield(): Promise<void> {
    for (const lock of this.#exclusive) {
      if (lock.ageMs() > LOCK_TTL_MS / 4) await lock.refresh().catch(() => undefined);
    }
    // One listing for all machines: a store may charge for each.
    const exclusive = this.#shared.size === 0 ? [] : await findLocks(this.#store, 'exclusive', undefined);
    for (const [machine, taking] of this.#shared) {
      const hold = await taking.catch(() => undefined);
      if (!hold?.lock) continue;
      const now = hold.lock.storeNowMs();
      hold.yielding = exclusive.some((lock) => touches(lock, machine) && !isStale(lock, now));
      const idle = this.#clock.now() - hold.lastUsedMs > IDLE_MS;
      if (hold.uses === 0 && (hold.yielding || idle)) await this.#drop(machine, hold);
      else if (hold.lock.ageMs() > LOCK_TTL_MS / 4) await hold.lock.refresh().catch(() => undefined);
    }
    if (this.#shared.size === 0 && this.#exclusive.size === 0) {
      this.#stopTimer?.();
      this.#stopTimer = undefined;
    }
  }
}
