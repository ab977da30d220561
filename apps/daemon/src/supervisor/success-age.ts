import { steadyNow } from './steady-clock.js';

/**
 * How old the last good checkpoint is. Measured, so that no step of the wall clock makes it younger or older; only what
 * an earlier run of the daemon has left is dated by the wall clock, and never into the future.
 */
export class SuccessAge {
  #sinceMs = steadyNow();
  #known = false;

  /** A checkpoint was taken; its guest ran on for so long until it was durable. */
  taken(commitMs: number): void {
    this.#sinceMs = steadyNow() - commitMs;
    this.#known = true;
  }

  /** The repository has one from before. */
  found(capturedAtMs: number): void {
    if (this.#known) return;
    this.#sinceMs = Math.min(this.#sinceMs, steadyNow() - Math.max(0, Date.now() - capturedAtMs));
  }

  /** Milliseconds; without any checkpoint, since the protection was begun. */
  milliseconds(): number {
    return Math.max(0, steadyNow() - this.#sinceMs);
  }
}
