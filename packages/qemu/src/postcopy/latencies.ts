/** Most times that are kept: of more, every second is forgotten, and every second left out from then on. */
const MOST = 16_384;

/** Times of many events, milliseconds, for their percentiles. */
export class Latencies {
  #times: number[] = [];
  #every = 1;
  count = 0;

  add(ms: number): void {
    if (this.count++ % this.#every !== 0) return;
    this.#times.push(ms);
    if (this.#times.length < MOST) return;
    this.#times = this.#times.filter((_, index) => index % 2 === 0);
    this.#every *= 2;
  }

  /** The time that a share of them (0 to 1) did not exceed; 0 without any. */
  percentile(share: number): number {
    const sorted = this.#times.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }
}
