import { abortError } from '@fitdoc/interface';
import type { Clock } from '../../src/index.js';

/** A clock that moves when told, or when somebody sleeps. */
export class FakeClock implements Clock {
  #now: number;
  /** How far somebody set the wall clock off. */
  #off = 0;
  #timers = new Set<{ every: number; next: number; body: () => void }>();

  constructor(start = 1_760_000_000_000) {
    this.#now = start;
  }

  now = (): number => this.#now + this.#off;
  steady = (): number => this.#now;

  /** Sets the wall clock forward, or back, while time goes on as it did. */
  step(milliseconds: number): void {
    this.#off += milliseconds;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw abortError(signal);
    // A sleeper that is there to give up is told by what it waits for; others move the time on.
    if (milliseconds > 10_000) {
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(abortError(signal))));
    }
    await new Promise((resolve) => setImmediate(resolve));
    this.#now += milliseconds;
  }

  every(milliseconds: number, body: () => void): () => void {
    const timer = { every: milliseconds, next: this.#now + milliseconds, body };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves the time, calling timers as they fall due and letting them do their work. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + 1_000);
      for (const timer of this.#timers) {
        if (timer.next > this.#now) continue;
        timer.next += timer.every;
        timer.body();
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** Moves the time as if the process had been stopped meanwhile. */
  jump(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of this.#timers) timer.next = this.#now + timer.every;
  }
}
