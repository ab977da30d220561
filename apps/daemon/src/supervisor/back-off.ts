const FIRST_MS = 1000;
const LONGEST_MS = 60_000;

/** Waits that double from one second to one minute, with jitter so that machines do not knock together. */
export class BackOff {
  #tries = 0;

  reset(): void {
    this.#tries = 0;
  }

  /** Milliseconds to wait before the next try. */
  next(random: () => number = Math.random): number {
    const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#tries);
    this.#tries++;
    return longest * (0.5 + random() / 2);
  }
}
