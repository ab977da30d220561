import type { Store } from '@fitdoc/interface';
import type { Clock } from '../clock.js';
import type { HeldLock } from './held-lock.js';
import { holdingOf, type Going, type Held, type Nameable } from './holding.js';
import { leaseOf, type Lease, type LockOptions, type RemovalLease, type WriterLease } from './lease.js';
import { LocalGate } from './local-gate.js';
import { extentOfGoing, findLocks, LOCK_TTL_MS, lockedError, type FoundLock } from './lock-record.js';
import { LockTable } from './lock-table.js';
import { withPatience } from './patience.js';
import { Removing, takeAlone, type RemovalRequest } from './removal-lock.js';
import { takeShared } from './shared-lock.js';
import { WriterLocks } from './writer-locks.js';

const TICK_MS = 2_000;
const DEFAULT_WAIT_MS = 30_000;

/**
 * Locks between processes, as objects in the store. Readers and writers say what they keep in place, and who
 * removes says what goes: they wait for each other only where the two meet. Both sides first write their own
 * lock and then look for the other's, so one of two always sees the other. A writer's lock is kept between puts,
 * and let go when somebody waits for what it holds.
 */
export class LockManager {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #table: LockTable;
  readonly #writers: WriterLocks;
  readonly #gate = new LocalGate();
  /** Locks that live as long as their leases. */
  readonly #leased = new Set<HeldLock>();
  #stopTimer: (() => void) | undefined;
  #ticking = false;

  constructor(store: Store, clock: Clock, waitMs = DEFAULT_WAIT_MS) {
    this.#store = store;
    this.#clock = clock;
    this.#waitMs = waitMs;
    this.#table = new LockTable(store, clock);
    this.#writers = new WriterLocks(this.#table);
  }

  /** Makes sure that nothing of the machine is removed until it is released. REPOSITORY_LOCKED. */
  share(machine: string, purpose: string, options: LockOptions = {}): Promise<Lease> {
    return this.#share(machine, purpose, 'everything', options);
  }

  /**
   * Makes sure that none of these objects of the machine, and with `from` none that shows a state with that sequence or a
   * later one, is removed until it is released. One may have gone before: look for them afterwards. REPOSITORY_LOCKED.
   */
  hold(
    machine: string,
    purpose: string,
    objects: readonly Nameable[],
    options: LockOptions & { readonly from?: number } = {},
  ): Promise<Lease> {
    return this.#share(machine, purpose, holdingOf(objects, options.from), options);
  }

  /**
   * For who adds to the state with this sequence, which these objects show. Until the release whatever shows it,
   * or a later one, stays. REPOSITORY_LOCKED.
   */
  async write(
    machine: string,
    standsOn: { readonly objects: readonly Nameable[]; readonly sequence: number },
    options: LockOptions = {},
  ): Promise<WriterLease> {
    const held = holdingOf(standsOn.objects, standsOn.sequence);
    const leave = await this.#gate.enter({ kind: 'shared', machine, held }, options.signal);
    try {
      const waitMs = options.waitMs ?? this.#waitMs;
      const writer = await this.#writers.of(machine, held, { ...options, waitMs });
      this.#startTimer();
      const end = writer.use(held);
      let released = false;
      return {
        ...leaseOf(writer.lock, () => Promise.resolve()),
        release: async (head) => {
          if (released) return;
          released = true;
          end(this.#clock.steady(), head && holdingOf([head], head.sequence));
          if (writer.mustGo(this.#clock.steady())) await this.#writers.drop(machine, writer);
          leave();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Keeps everybody else from the machine, or from all of them. REPOSITORY_LOCKED. */
  exclude(machine: string | undefined, purpose: string, options: LockOptions = {}): Promise<Lease> {
    return this.#exclusive(machine, purpose, 'everything', options);
  }

  /** Keeps all others from removing from the machine; who reads and writes goes on. REPOSITORY_LOCKED. */
  remove(machine: string, purpose: string, options: LockOptions = {}): Promise<RemovalLease> {
    return this.#exclusive(machine, purpose, new Map(), options);
  }

  /** For the only one that changes who can open the repository. Nobody removes meanwhile; all else goes on. REPOSITORY_LOCKED. */
  changeKeys(options: LockOptions = {}): Promise<Lease> {
    return this.#exclusive(undefined, 'change of keys', new Map(), options);
  }

  /** For the only one that merges checkpoints of the machine. Holds off nobody else. REPOSITORY_LOCKED. */
  async merge(machine: string, options: LockOptions = {}): Promise<Lease> {
    const request = { ...options, machine, purpose: 'merge', waitMs: options.waitMs ?? this.#waitMs };
    return this.#leaseOf(await takeAlone(this.#table, 'merger', request, {}), () => undefined);
  }

  /**
   * REPOSITORY_LOCKED while anybody holds a lock that names nothing: a program that is too old to, which would not
   * see what is about to be put.
   */
  async refuseOlder(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    for (const kind of ['shared', 'exclusive'] as const) {
      await this.#table.settled(kind, undefined, undefined, options.signal);
      const now = this.#clock.now();
      const found = await this.#table.living(kind, undefined, now, options.signal);
      const older = found.find(({ record }) => !record?.holds && !record?.removes);
      if (older) throw lockedError(older, now);
    }
  }

  /** All locks that hold now, or may. Those of processes of this host that have ended are removed. */
  async list(options: { readonly signal?: AbortSignal } = {}): Promise<FoundLock[]> {
    const now = this.#clock.now();
    const found: FoundLock[] = [];
    for (const kind of ['shared', 'exclusive', 'merger'] as const) {
      found.push(...(await this.#table.living(kind, undefined, now, options.signal)));
    }
    return found;
  }

  /** Lets go of everything. */
  async close(): Promise<void> {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    await this.#writers.dropAll();
    for (const lock of this.#leased) await lock.release();
    this.#leased.clear();
  }

  async #share(machine: string, purpose: string, held: Held, options: LockOptions): Promise<Lease> {
    const leave = await this.#gate.enter({ kind: 'shared', machine, held }, options.signal);
    try {
      const deadline = this.#clock.steady() + (options.waitMs ?? this.#waitMs);
      const lock = await takeShared(this.#table, { ...options, machine, purpose, held, deadline });
      return this.#leaseOf(lock, leave);
    } catch (error) {
      leave();
      throw error;
    }
  }

  async #exclusive(
    machine: string | undefined,
    purpose: string,
    going: Going,
    options: LockOptions,
  ): Promise<RemovalLease> {
    const request: RemovalRequest = { ...options, machine, purpose, waitMs: options.waitMs ?? this.#waitMs };
    const claim = { kind: 'exclusive' as const, machine, going: new Map() as Going };
    const leave = await withPatience(this.#clock, request, (signal) => this.#gate.enter(claim, signal));
    let lock: HeldLock | undefined;
    try {
      if (going === 'everything') await this.#writers.dropAll(machine);
      lock = await takeAlone(this.#table, 'exclusive', request, extentOfGoing(going));
      await this.#table.settled('shared', machine, lock, request.signal);
      const removing = new Removing(this.#table, this.#gate, claim, lock, request);
      if (going === 'everything') await removing.await(going);
      const lease = this.#leaseOf(lock, leave);
      return removing.lease(
        () => this.#heldHere(machine),
        () => lease.release(),
      );
    } catch (error) {
      await lock?.release();
      leave();
      throw error;
    }
  }

  #heldHere(machine: string | undefined): Held[] {
    return machine === undefined ? [] : [...this.#gate.holdings(machine), ...this.#writers.heads(machine)];
  }

  #leaseOf(lock: HeldLock | undefined, leave: () => void): Lease {
    if (lock) this.#leased.add(lock);
    this.#startTimer();
    return leaseOf(lock, async () => {
      if (lock) this.#leased.delete(lock);
      await lock?.release();
      leave();
    });
  }

  #startTimer(): void {
    this.#stopTimer ??= this.#clock.every(TICK_MS, () => void this.tick().catch(() => undefined));
  }

  /** What the timer does: refreshes locks, and lets go of those that are idle or waited for. */
  async tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      for (const lock of this.#leased) {
        if (lock.ageMs() > LOCK_TTL_MS / 4) await lock.refresh().catch(() => undefined);
      }
      await this.#writers.refresh(() => findLocks(this.#store, 'exclusive', undefined));
    } finally {
      this.#ticking = false;
    }
    if (this.#writers.size > 0 || this.#leased.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }
}
