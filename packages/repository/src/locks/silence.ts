import type { Clock } from '../clock.js';
import { LOCK_TTL_MS, type FoundLock } from './lock-record.js';

/** Longer than any holder that lives leaves between two refreshes. */
export const WATCH_MS = LOCK_TTL_MS / 3;

interface Look {
  readonly refreshedAtMs: number;
  readonly sinceMs: number;
  /** It was refreshed since it was first looked at. */
  readonly lives: boolean;
}

/**
 * Tells locks that were left behind from those whose refreshes only look old, because a clock was set: the former are
 * not refreshed while we watch, for which we need nobody's clock but our own steady one.
 */
export class Silence {
  readonly #clock: Clock;
  readonly #seen = new Map<string, Look>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a lock that seems silent was watched for long enough. The first look begins the watch. */
  isOver({ key, refreshedAtMs }: FoundLock): boolean {
    const seen = this.#seen.get(key);
    if (seen?.refreshedAtMs !== refreshedAtMs) {
      this.#seen.set(key, { refreshedAtMs, sinceMs: this.#clock.steady(), lives: seen !== undefined });
      return false;
    }
    return this.#clock.steady() - seen.sinceMs >= WATCH_MS;
  }

  /**
   * Whether it is being watched: whoever waits for it can wait for the end of that. One that was refreshed meanwhile lives,
   * however old it seems by a clock that stays wrong, and may do so for ever.
   */
  isWatched({ key }: FoundLock): boolean {
    return this.#seen.get(key)?.lives === false;
  }

  /** It lives, or is gone. */
  forget(key: string): void {
    this.#seen.delete(key);
  }
}
