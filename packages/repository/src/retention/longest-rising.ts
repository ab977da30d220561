import type { CheckpointEntry } from '../catalogue/entry.js';

const HOUR_MS = 3_600_000;
/** What a checkpoint weighs that is the first of an hour: more than all others of any chain. */
const FIRST_OF_HOUR = 2 ** 32;

/**
 * The series of captured times that never falls and has the most hours, of several such the one of the most checkpoints,
 * then the one through the latest; last first. Hours go before checkpoints since what is old was thinned: a minute at a
 * checkpoint a second is no proof against a year.
 */
export function longestRising(entries: readonly CheckpointEntry[]): Set<CheckpointEntry> {
  if (entries.every(({ capturedAtMs }, at) => at === 0 || entries[at - 1]!.capturedAtMs <= capturedAtMs))
    return new Set([...entries].reverse());
  const heaviest = new Heaviest(entries);
  const before = new Int32Array(entries.length);
  for (const [index, { capturedAtMs }] of entries.entries()) {
    const { weight, last } = heaviest.upTo(capturedAtMs);
    before[index] = last;
    heaviest.put(capturedAtMs, { weight: weight + weightAt(entries, index), last: index });
  }
  const longest = new Set<CheckpointEntry>();
  for (let at = heaviest.upTo(Infinity).last; at >= 0; at = before[at]!) longest.add(entries[at]!);
  return longest;
}

function weightAt(entries: readonly CheckpointEntry[], index: number): number {
  const hour = (at: number) => Math.floor(entries[at]!.capturedAtMs / HOUR_MS);
  return index === 0 || hour(index) !== hour(index - 1) ? FIRST_OF_HOUR : 1;
}

interface Series {
  readonly weight: number;
  /** Index of its last entry; -1 of none. */
  readonly last: number;
}

/** The heaviest series by the times at which they end (a tree of maxima, P. Fenwick 1994). */
class Heaviest {
  readonly #times: Float64Array;
  readonly #nodes: Series[];

  constructor(entries: readonly CheckpointEntry[]) {
    this.#times = Float64Array.from(entries, ({ capturedAtMs }) => capturedAtMs).sort();
    this.#nodes = new Array<Series>(entries.length + 1).fill({ weight: 0, last: -1 });
  }

  /** Of those that end at this time or before, the one that was put last of the heaviest. */
  upTo(timeMs: number): Series {
    let found: Series = { weight: 0, last: -1 };
    for (let at = this.#rank(timeMs); at > 0; at -= at & -at) {
      const node = this.#nodes[at]!;
      if (node.weight > found.weight || (node.weight === found.weight && node.last > found.last))
        found = node;
    }
    return found;
  }

  put(timeMs: number, series: Series): void {
    for (let at = this.#rank(timeMs); at < this.#nodes.length; at += at & -at)
      if (series.weight >= this.#nodes[at]!.weight) this.#nodes[at] = series;
  }

  /** How many times there are up to this one. */
  #rank(timeMs: number): number {
    let low = 0;
    for (let high = this.#times.length; low < high;) {
      const middle = (low + high) >> 1;
      if (this.#times[middle]! <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
