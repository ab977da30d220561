import { isFitdocError } from '@fitdoc/interface';
import type { HeldLock } from './held-lock.js';
import { clashes, goingOf, type Going, type Held, type Nameable } from './holding.js';
import { leaseOf, type LockOptions, type RemovalLease } from './lease.js';
import type { ExclusiveClaim, LocalGate } from './local-gate.js';
import { extentOfGoing, heldBy, LOCK_TTL_MS, type FoundLock, type LockExtent } from './lock-record.js';
import type { LockTable } from './lock-table.js';
import { withPatience } from './patience.js';

export interface RemovalRequest extends LockOptions {
  /** Undefined: all of them. */
  readonly machine: string | undefined;
  readonly purpose: string;
  readonly waitMs: number;
}

/** Writes the lock of one who is the only one of its kind, and waits for others. Undefined on a full store. */
export async function takeAlone(
  table: LockTable,
  kind: 'exclusive' | 'merger',
  { machine, purpose, signal, waitMs }: RemovalRequest,
  extent: LockExtent,
): Promise<HeldLock | undefined> {
  const deadline = table.clock.steady() + waitMs;
  for (;;) {
    const asked = { kind, machine, purpose, extent };
    // On a full store removing must still be possible; there nobody else can write a lock either.
    const lock = await table.writeUnless(['STORE_FULL'], asked, signal);
    const now = table.nowMs(lock);
    const [rival] = await table.others(lock, kind, machine, signal);
    if (!rival) return lock;
    await lock?.release();
    await table.waitFor(rival, now, deadline, signal);
  }
}

/** The lock under which one removes, and what it keeps apart by it. */
export class Removing {
  constructor(
    private readonly table: LockTable,
    private readonly gate: LocalGate,
    private readonly claim: ExclusiveClaim,
    private readonly lock: HeldLock | undefined,
    private readonly request: RemovalRequest,
  ) {}

  /** Waits until nobody keeps any of what goes; whether it had to. REPOSITORY_LOCKED. */
  async await(going: Going): Promise<boolean> {
    const { table, lock, request } = this;
    const settle = (signal: AbortSignal): Promise<void> => this.gate.settle(this.claim, going, signal);
    let waited = !this.gate.trySettle(this.claim, going);
    if (waited) await withPatience(table.clock, request, settle);
    const deadline = table.clock.steady() + request.waitMs;
    for (;;) {
      const [holder] = await this.#holders(going);
      if (!holder) return waited;
      waited = true;
      await table.waitFor(holder, table.nowMs(lock), deadline, request.signal);
      if (lock && lock.ageMs() > LOCK_TTL_MS / 4) await lock.refresh();
    }
  }

  lease(heldHere: () => readonly Held[], release: () => Promise<void>): RemovalLease {
    return {
      ...leaseOf(this.lock, release),
      held: async () => [...(await this.#heldElsewhere()), ...heldHere()],
      announce: (entries, { wait }) => this.#announce(entries, wait),
    };
  }

  async #announce(entries: readonly Nameable[], wait: boolean): Promise<boolean> {
    const going = goingOf(entries);
    this.claim.going = new Map();
    try {
      await this.lock?.extend(extentOfGoing(going), this.request.signal);
    } catch (error) {
      // On a store that is full by now the names cannot be written; nobody else can write a lock either.
      if (!isFitdocError(error, 'STORE_FULL')) throw error;
    }
    if (wait) return !(await this.await(going));
    return this.gate.trySettle(this.claim, going) && (await this.#holders(going)).length === 0;
  }

  async #heldElsewhere(): Promise<Held[]> {
    return (await this.#elsewhere()).map(heldBy);
  }

  async #holders(going: Going): Promise<FoundLock[]> {
    return (await this.#elsewhere()).filter(
      (other) => going === 'everything' || clashes(heldBy(other), going),
    );
  }

  /** Of this process the gate knows, and better. */
  async #elsewhere(): Promise<FoundLock[]> {
    const { table, lock, request } = this;
    const found = await table.living('shared', request.machine, table.nowMs(lock), request.signal);
    return found.filter((other) => !table.isOurs(other));
  }
}
