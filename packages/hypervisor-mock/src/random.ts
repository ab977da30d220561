/**
 * The small fast counter generator of PractRand ("sfc32"), whose four words of state lie in memory that the
 * caller provides: a machine's generator is part of its device state, so a restored machine draws the same.
 */
export class Random {
  readonly #state: Uint32Array;

  /** Requires four words. They are used as they are; `seed` prepares them. */
  constructor(state: Uint32Array) {
    this.#state = state;
  }

  seed(seed: number): void {
    this.#state.set([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 0x9e3779b9, 1]);
    for (let i = 0; i < 16; i++) this.next();
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    const state = this.#state;
    const [a, b, c, counter] = [state[0] ?? 0, state[1] ?? 0, state[2] ?? 0, state[3] ?? 0];
    const result = (a + b + counter) >>> 0;
    state[3] = counter + 1;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + result;
    return result;
  }

  /** A whole number from 0 to `limit` - 1, for limits up to 2^32. */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit);
  }

  /** A whole number from 1 to 2 * mean - 1: `mean` on average. */
  around(mean: number): number {
    return 1 + this.below(2 * Math.max(1, mean) - 1);
  }

  /** True in `share` of the calls. */
  chance(share: number): boolean {
    return this.next() < share * 2 ** 32;
  }

  /** Like `below`, but small numbers are more frequent: half of the calls stay in the first half, and so on. */
  skewed(limit: number): number {
    const halvings = Math.min(Math.clz32(this.next()), 8);
    return this.below(Math.max(1, limit >>> halvings));
  }
}
