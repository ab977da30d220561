import type { HeldLock } from './held-lock.js';
import { atHand, clashes, type Held } from './holding.js';
import { extentOfHeld, goingBy } from './lock-record.js';
import type { LockTable } from './lock-table.js';

export interface SharedRequest {
  readonly machine: string;
  readonly purpose: string;
  readonly held: Held;
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  readonly evenIfFull?: boolean | undefined;
}

/**
 * Writes a lock that keeps `held` in place, and only then looks for who removes any of it: of two, one always
 * sees the other. Undefined where the store takes no lock. REPOSITORY_LOCKED.
 */
export async function takeShared(table: LockTable, request: SharedRequest): Promise<HeldLock | undefined> {
  const { machine, purpose, held, signal, deadline } = request;
  // A reader of a store that it may not write goes without: nobody removes what it cannot lock either.
  const without = request.evenIfFull ? ['STORE_DENIED', 'STORE_FULL'] : ['STORE_DENIED'];
  for (;;) {
    const extent = extentOfHeld(held);
    const lock = await table.writeUnless(without, { kind: 'shared', machine, purpose, extent }, signal);
    if (!lock) return undefined;
    const removers = await table.others(lock, 'exclusive', machine, signal);
    // Whoever takes all of a machine also keeps off those who hold nothing yet.
    const rival = removers.find((other) => {
      const going = goingBy(other);
      return going === 'everything' || clashes(atHand(held), going);
    });
    if (!rival) return lock;
    await lock.release();
    await table.waitFor(rival, lock.storeNowMs(), deadline, signal);
  }
}
