/**
 * How many restore points a machine has in its repository, right at any moment: what the last listing found, and the
 * checkpoints that were committed since. A chain's sequence numbers say which of them the listing knew.
 */
export class PointCount {
  #listed: number | undefined;
  #newest = -1;
  #since: number[] = [];

  /** Undefined before the first listing. */
  get value(): number | undefined {
    return this.#listed === undefined ? undefined : this.#listed + this.#since.length;
  }

  /** A checkpoint is durable. */
  committed(sequence: number): void {
    if (sequence > this.#newest) this.#since.push(sequence);
  }

  /** A listing found so many, the newest of them with this number; -1 where there is none. */
  listed(points: number, newestSequence: number): void {
    this.#listed = points;
    this.#newest = newestSequence;
    this.#since = this.#since.filter((sequence) => sequence > newestSequence);
  }
}
