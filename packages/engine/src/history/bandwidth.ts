import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortError, throwIfAborted } from '@fitdoc/interface';

/** Milliseconds' worth of bytes that may be moved at once, so that small pieces are not slept over one by one. */
const BURST_MS = 100;

/** Holds work to so many bytes a second. */
export class Bandwidth {
  readonly #bytesPerMs: number;
  #freeAtMs = 0;

  /** Default: no limit. */
  constructor(bytesPerSecond: number = Number.POSITIVE_INFINITY) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Resolves when that many bytes more may be moved. ABORTED. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const now = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, now - BURST_MS) + bytes / this.#bytesPerMs;
    const wait = this.#freeAtMs - now;
    if (!(wait > 0)) return;
    try {
      await sleep(wait, undefined, signal ? { signal } : {});
    } catch {
      throw abortError(signal!);
    }
  }
}
