import { abortError, throwIfAborted } from '@fitdoc/interface';
import { atHand, clashes, type Going, type Held } from './holding.js';

/** A user of an opened repository: what it keeps. */
export interface SharedClaim {
  readonly kind: 'shared';
  readonly machine: string | undefined;
  readonly held: Held;
}

/** One that removes: what it takes away. */
export interface ExclusiveClaim {
  readonly kind: 'exclusive';
  readonly machine: string | undefined;
  going: Going;
}

export type Claim = SharedClaim | ExclusiveClaim;

interface Waiter {
  readonly ready: () => boolean;
  readonly enter: () => void;
}

function conflicts(one: Claim, other: Claim): boolean {
  if (one.machine !== undefined && other.machine !== undefined && one.machine !== other.machine) return false;
  if (one.kind === 'shared') return other.kind === 'exclusive' && clashes(one.held, other.going);
  return other.kind === 'exclusive' || clashes(other.held, one.going);
}

/**
 * Keeps apart the users of one opened repository: those that keep objects, and one that removes. One that waits
 * to remove does not hold up those that share: a checkpoint must not wait for a prune that waits for a restore.
 */
export class LocalGate {
  readonly #held = new Set<Claim>();
  #waiting: Waiter[] = [];

  /** Waits for its turn; gives the function that ends it. */
  async enter(claim: Claim, signal?: AbortSignal): Promise<() => void> {
    await this.#when(
      () => !this.#blocked(claim),
      () => this.#held.add(claim),
      signal,
    );
    return () => {
      this.#held.delete(claim);
      this.#admit();
    };
  }

  /** For one that has entered to remove: waits until nobody here keeps what is to go, and takes it over. */
  settle(claim: ExclusiveClaim, going: Going, signal?: AbortSignal): Promise<void> {
    return this.#when(
      () => this.#isFree(claim, going),
      () => (claim.going = going),
      signal,
    );
  }

  /** As `settle`, but false where it would have to wait. */
  trySettle(claim: ExclusiveClaim, going: Going): boolean {
    const free = this.#isFree(claim, going);
    if (free) claim.going = going;
    return free;
  }

  /** What is kept here of a machine at this moment. */
  holdings(machine: string): Held[] {
    return [...this.#held].flatMap((claim) =>
      claim.kind === 'shared' && claim.machine === machine ? [claim.held] : [],
    );
  }

  #isFree(claim: ExclusiveClaim, going: Going): boolean {
    const wanted = { ...claim, going };
    return ![...this.#held].some((held) => held !== claim && conflicts(held, wanted));
  }

  #blocked(claim: Claim): boolean {
    const coming = claim.kind === 'shared' ? { ...claim, held: atHand(claim.held) } : claim;
    return [...this.#held].some((held) => conflicts(held, coming));
  }

  async #when(ready: () => boolean, enter: () => void, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    if (ready()) enter();
    else await this.#queue(ready, enter, signal);
  }

  #queue(ready: () => boolean, enter: () => void, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        reject(abortError(signal!));
      };
      const waiter = {
        ready,
        enter: () => {
          signal?.removeEventListener('abort', onAbort);
          enter();
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #admit(): void {
    const still: Waiter[] = [];
    for (const waiter of this.#waiting) {
      if (waiter.ready()) waiter.enter();
      else still.push(waiter);
    }
    this.#waiting = still;
  }
}
