import type { HeldLock } from './held-lock.js';
import type { Held, Nameable } from './holding.js';

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

/** A writer's: on release it says what it stands on now. */
export interface WriterLease extends Lease {
  release(head?: Nameable): Promise<void>;
}

/** The only one that removes from a machine. Others go on with whatever it does not announce. */
export interface RemovalLease extends Lease {
  /** What others keep of the machine now. */
  held(): Promise<Held[]>;
  /**
   * Tells everybody what is about to go. True when nobody keeps any of it: from then on nobody can. Else false,
   * after having waited for who does where `wait` says so; what has happened meanwhile must be looked at anew.
   * REPOSITORY_LOCKED when they do not let go in time.
   */
  announce(entries: readonly Nameable[], options: { readonly wait: boolean }): Promise<boolean>;
}

export function leaseOf(lock: HeldLock | undefined, release: () => Promise<void>): Lease {
  let released = false;
  return {
    assertFresh: () => lock?.assertFresh(),
    isFresh: () => lock?.isFresh() ?? true,
    release: async () => {
      if (released) return;
      released = true;
      await release();
    },
  };
}
