import { stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import { lastFirst } from '../catalogue/order.js';
import { longestRising } from './longest-rising.js';

/** How far ahead of the clock here a capture may be before its date counts as one in the future. */
export const FUTURE_MS = 60_000;

/** A machine's checkpoints in its own order, each with a time that rises along it. */
export interface ChainTimes {
  /** Last first. */
  readonly ordered: readonly CheckpointEntry[];
  /** Milliseconds since 1970: what the clock said where that fits the order, else a time between its neighbours'. */
  timeOf(entry: CheckpointEntry): number;
  /** Those whose clock was ahead of the one here, last first. */
  readonly future: readonly CheckpointEntry[];
  /** The times by content hashes of states, for the next look of the same run; see `KnownTimes`. */
  readonly known: KnownTimes;
}

/**
 * What was found of when states were taken, by content hash. Which captured times can be true together is another
 * question once some checkpoints are gone: who removes in several goes keeps to the answer that he began with.
 */
export type KnownTimes = ReadonlyMap<string, number>;

/**
 * Orders one machine's checkpoints as it counted them, and finds for each when it was taken. Clocks are set, and
 * stand wrong for a while: as many of the captured times as can be true together (the longest rising series along
 * the chain, none of them in the future; see `longestRising`) are believed, and what
 * lies between them is put between them. What comes before all of them keeps the distances that its own clock told: when
 * a clock falls back, what was captured before is no older for that, and no less apart. What `known` says holds; what
 * was captured since then comes after it.
 */
export function chainTimes(
  entries: readonly CheckpointEntry[],
  nowMs = Infinity,
  known?: KnownTimes,
): ChainTimes {
  const ordered = [...entries].sort(lastFirst);
  const rising = [...ordered].reverse();
  const isFuture = (entry: CheckpointEntry) => entry.capturedAtMs > nowMs + FUTURE_MS;
  const believed = known
    ? stillBelieved(rising, isFuture, known)
    : believedOf(
        rising.filter((entry) => !isFuture(entry)),
        rising,
      );
  const times = new Map<CheckpointEntry, number>();
  let { first, firstMs } = layDown(rising, believed, times);
  while (first > 0) {
    const before = rising.slice(0, first);
    ({ first, firstMs } = layDown(before, endingAt(firstMs, longestRising(before)), times));
  }
  return {
    ordered,
    timeOf: (entry) => times.get(entry)!,
    future: ordered.filter(isFuture),
    known: new Map([...times].map(([entry, time]) => [stateOf(entry), time])),
  };
}

type Believed = ReadonlyMap<CheckpointEntry, number>;

function believedOf(past: readonly CheckpointEntry[], all: readonly CheckpointEntry[]): Believed {
  const series = longestRising(past.length > 0 ? past : all);
  return new Map([...series].map((entry) => [entry, entry.capturedAtMs]));
}

/** The known times, and of the others those that fit between them. */
function stillBelieved(
  rising: readonly CheckpointEntry[],
  isFuture: (entry: CheckpointEntry) => boolean,
  known: KnownTimes,
): Believed {
  const nextKnown: number[] = [];
  let next = Infinity;
  for (let at = rising.length - 1; at >= 0; at--) {
    nextKnown[at] = next;
    next = known.get(stateOf(rising[at]!)) ?? next;
  }
  const believed = new Map<CheckpointEntry, number>();
  let last = -Infinity;
  for (const [index, entry] of rising.entries()) {
    const told = entry.capturedAtMs;
    const fits = told >= last && told <= nextKnown[index]! && !isFuture(entry);
    const time = known.get(stateOf(entry)) ?? (fits ? told : undefined);
    if (time === undefined) continue;
    believed.set(entry, time);
    last = time;
  }
  return believed;
}

/** Times for all from the first believed one on; gives which that is, and its time. */
function layDown(
  rising: readonly CheckpointEntry[],
  believed: Believed,
  times: Map<CheckpointEntry, number>,
): { readonly first: number; readonly firstMs: number } {
  let first: number | undefined;
  let from = 0;
  for (const [index, entry] of rising.entries()) {
    const time = believed.get(entry);
    if (time === undefined) continue;
    if (first !== undefined) fill(rising, from, index, times, time);
    first ??= index;
    times.set(entry, time);
    from = index + 1;
  }
  if (first !== undefined) fill(rising, from, rising.length, times);
  return { first: first ?? rising.length, firstMs: first === undefined ? 0 : times.get(rising[first]!)! };
}

/** A series of captured times, last first, set forward or back so that it ends at a time. */
function endingAt(endMs: number, series: ReadonlySet<CheckpointEntry>): Believed {
  const [last] = series;
  const shiftMs = endMs - last!.capturedAtMs;
  return new Map([...series].map((entry) => [entry, entry.capturedAtMs + shiftMs]));
}

/** Times for a stretch without believed ones, evenly between those before and after it. */
function fill(
  rising: readonly CheckpointEntry[],
  from: number,
  to: number,
  times: Map<CheckpointEntry, number>,
  after?: number,
): void {
  if (from === to) return;
  const before = from > 0 ? times.get(rising[from - 1]!) : undefined;
  const low = before ?? after ?? 0;
  const high = after ?? before ?? 0;
  for (let at = from; at < to; at++) {
    times.set(rising[at]!, low + ((high - low) * (at - from + 1)) / (to - from + 1));
  }
}
