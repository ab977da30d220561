import { performance } from 'node:perf_hooks';

/** What is known of a pause from the stream alone. */
export interface PauseTimes {
  /** From the first byte of the last pass over the memory to the checkpoint's end, ms. */
  readonly pauseMs: number;
  /** From the request to the first byte, ms: the interval's rest, and the guest's own suspend. */
  readonly waitMs: number;
  /** When the pause began, milliseconds since 1970. */
  readonly capturedAtMs: number;
}

/**
 * Tells the pause from the outside: a suspended guest's pages come as the last pass over the memory, and the
 * record that ends the checkpoint is written after the guest has been resumed.
 */
export class PauseClock {
  #asked = 0;
  #first: number | undefined;
  #passAt: number | undefined;

  start(): void {
    this.#asked = performance.now();
    this.#first = undefined;
    this.#passAt = undefined;
  }

  bytes(): void {
    this.#first ??= performance.now();
  }

  /** A new pass over the memory begins. */
  pass(): void {
    this.#passAt = performance.now();
  }

  finish(): PauseTimes {
    const now = performance.now();
    const first = this.#first ?? now;
    const pauseMs = now - (this.#passAt ?? first);
    return { pauseMs, waitMs: first - this.#asked, capturedAtMs: Math.round(Date.now() - pauseMs) };
  }
}
