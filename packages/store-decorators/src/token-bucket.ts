import { FitdocError } from '@fitdoc/interface';
import { sleep, type Sleep } from './sleep.js';

/** Lets so many bytes a second pass, whoever asks, in order of asking. */
export class TokenBucket {
  #nextFreeMs: number;

  constructor(
    private readonly bytesPerSecond: number,
    private readonly burstBytes: number,
    private readonly now: () => number = () => performance.now(),
    private readonly wait: Sleep = sleep,
  ) {
    if (!(bytesPerSecond > 0) || !(burstBytes >= 0)) {
      throw new FitdocError('ARGUMENT_INVALID', 'A bandwidth limit is a positive number of bytes a second.');
    }
    this.#nextFreeMs = -Infinity;
  }

  /** Resolves when `bytes` may pass. They count even when the wait is aborted. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.bytesPerSecond === Infinity) return;
    const now = this.now();
    const burstMs = (this.burstBytes / this.bytesPerSecond) * 1000;
    // What was not used counts for the future, up to the burst.
    this.#nextFreeMs = Math.max(this.#nextFreeMs, now - burstMs) + (bytes / this.bytesPerSecond) * 1000;
    const waitMs = this.#nextFreeMs - now;
    if (waitMs > 0) await this.wait(waitMs, signal);
  }
}
