import { abortError, throwIfAborted } from '@fitdoc/interface';
import type { LockKind } from './lock-record.js';

interface Claim {
  readonly kind: LockKind;
  readonly machine: string | undefined;
}

interface Waiter {
  readonly claim: Claim;
  readonly enter: () => void;
}

function conflicts(one: Claim, other: Claim): boolean {
  if (one.kind === 'shared' && other.kind === 'shared') return false;
  return one.machine === undefined || other.machine === undefined || one.machine === other.machine;
}

/**
 * Keeps apart the users of one opened repository: many that share, or one alone. One that waits to be alone does
 * not hold up those that share: a checkpoint must not wait for a prune that waits for a restore.
 */
export class LocalGate {
  readonly #held = new Set<Claim>();
  #waiting: Waiter[] = [];

  /** Waits for its turn; gives the function that ends it. */
  async enter(kind: LockKind, machine: string | undefined, signal?: AbortSignal): Promise<() => void> {
    throwIfAborted(signal);
    const claim = { kind, machine };
    if (!this.#blocked(claim)) this.#held.add(claim);
    else await this.#queue(claim, signal);
    return () => {
      this.#held.delete(claim);
      this.#admit();
    };
  }

  #blocked(claim: Claim): boolean {
    return [...this.#held].some((held) => conflicts(held, claim));
  }

  #queue(claim: Claim, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        reject(abortError(signal!));
      };
      const waiter = {
        claim,
        enter: () => {
          signal?.removeEventListener('abort', onAbort);
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
      if (this.#blocked(waiter.claim)) {
        still.push(waiter);
        continue;
      }
      this.#held.add(waiter.claim);
      waiter.enter();
    }
    this.#waiting = still;
  }
}
