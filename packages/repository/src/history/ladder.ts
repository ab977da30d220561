import type { CheckpointEntry } from '../catalogue/entry.js';
import { isDerived } from '../catalogue/entry.js';
import type { ChainTimes } from '../retention/chain-time.js';
import { TIERS, type RetentionPolicy } from '../retention/policy.js';
import { PLANNED_OBJECTS, type Ladder, type Level } from './types.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Widths that divide one another, so that what is a rung first is the way itself later, and thinning writes nothing. */
const WIDTHS: readonly (readonly [string, number])[] = [
  ['1s', SECOND],
  ['5s', 5 * SECOND],
  ['10s', 10 * SECOND],
  ['30s', 30 * SECOND],
  ['minute', MINUTE],
  ['10m', 10 * MINUTE],
  ['hour', HOUR],
  ['6h', 6 * HOUR],
  ['day', DAY],
];

/** Above the hour a base brought forward bounds the way; see `anchors`. Objects that it leaves for days and bases. */
export const ANCHOR_OBJECTS = 9;
/** A stretch of more objects than this gets a short cut to its middle. */
const HALF_ABOVE = 36;
/** Where the middle is: what is merged twice is the lesser part. */
const HALF_AT = 25 / 60;

const TEN_MINUTES_LIVE = 3 * HOUR;

/** What is known of how much captures of a machine overlap: encoded bytes of an increment over so many captures. */
export interface Overlap {
  /** Median milliseconds from one capture to the next. */
  readonly intervalMs: number;
  /** Mean bytes of one capture. */
  readonly captureBytes: number;
  /** Bytes of the last base. */
  readonly baseBytes: number;
  /** Encoded bytes of `captures` of them merged. */
  bytesOf(captures: number): number;
}

/** How fast unions of captures grow where nothing was measured yet: a hard case among recorded guests. */
const UNKNOWN_GROWTH = 0.93;
const SAMPLE = 2_000;

/** Measures a machine by its newest objects: what captures take, and what was merged of so many of them took. */
export function measureOverlap(entries: readonly CheckpointEntry[], times: ChainTimes): Overlap {
  const newest = times.ordered.slice(0, SAMPLE).filter((entry) => !isDerived(entry));
  const gaps: number[] = [];
  for (let at = 1; at < newest.length; at++) {
    const [one, before] = [newest[at - 1]!, newest[at]!];
    const passed = times.timeOf(one) - times.timeOf(before);
    if (passed > 0) gaps.push(passed / Math.max(1, one.sequence - before.sequence));
  }
  const increments = newest.filter((entry) => entry.kind === 'increment');
  const captureBytes = Math.max(1, mean(increments.map((entry) => entry.bytes)) ?? 1);
  const baseBytes = entries.findLast((entry) => entry.kind === 'base')?.bytes ?? captureBytes * 100;
  const points = measuredPoints(entries, captureBytes);
  return {
    intervalMs: Math.max(1, median(gaps) ?? SECOND),
    captureBytes,
    baseBytes,
    bytesOf: (captures) => Math.min(interpolate(points, captures), Math.max(baseBytes, captureBytes)),
  };
}

/** A machine of which nothing is known, captured at an interval: sizes are in captures. */
export function unknownOverlap(intervalMs: number): Overlap {
  const baseBytes = 100;
  const bytesOf = (captures: number) => Math.min(captures ** UNKNOWN_GROWTH, baseBytes);
  return { intervalMs, captureBytes: 1, baseBytes, bytesOf };
}

/** Mean bytes of merged increments, by how many captures they hold, to the next power of two. */
function measuredPoints(entries: readonly CheckpointEntry[], captureBytes: number): [number, number][] {
  const bySpan = new Map<number, { captures: number; bytes: number; count: number }>();
  const sequences = new Map(entries.map((entry) => [entry.contentHash, entry.sequence]));
  for (const entry of entries.slice(-SAMPLE)) {
    if (!isDerived(entry) || entry.parentContentHash === undefined) continue;
    const from = sequences.get(entry.parentContentHash);
    if (from === undefined || entry.sequence - from < 2) continue;
    const captures = entry.sequence - from;
    const known = bySpan.get(Math.round(Math.log2(captures))) ?? { captures: 0, bytes: 0, count: 0 };
    known.captures += captures;
    known.bytes += entry.bytes;
    known.count++;
    bySpan.set(Math.round(Math.log2(captures)), known);
  }
  const measured = [...bySpan.values()].map(({ captures, bytes, count }): [number, number] => [
    captures / count,
    bytes / count,
  ]);
  return [[1, captureBytes] as [number, number], ...measured].sort(([one], [other]) => one - other);
}

/** Along straight lines between the logarithms of what was measured; beyond it as the unknown grows. */
function interpolate(points: readonly (readonly [number, number])[], captures: number): number {
  let [from, fromBytes] = points[0]!;
  for (const [to, toBytes] of points) {
    if (to <= captures) {
      [from, fromBytes] = [to, toBytes];
      continue;
    }
    if (to === from) continue;
    const slope = Math.log(toBytes / fromBytes) / Math.log(to / from);
    return fromBytes * (captures / from) ** Math.min(1, Math.max(0, slope));
  }
  return fromBytes * (captures / from) ** UNKNOWN_GROWTH;
}

/**
 * The rungs for a machine: those of the policy's own tiers, and of the others as few as keep every way within the
 * bound, for the fewest bytes written. Ladders count objects: captures every 50 ms need rungs within the minute.
 */
export function chooseLadder(policy: RetentionPolicy, overlap: Overlap): Ladder {
  const tiers = new Set(
    TIERS.filter(([name, , bucket]) => bucket !== undefined && (policy[name] ?? 0) > 0).map(
      ([, , bucket]) => bucket,
    ),
  );
  const possible = WIDTHS.filter(([, widthMs]) => widthMs >= 2 * overlap.intervalMs);
  let best: Ladder | undefined;
  for (let choice = 0; choice < 1 << possible.length; choice++) {
    const chosen = possible.filter(([name], at) => (choice >> at) & 1 || tiers.has(name as 'minute'));
    const ladder = ladderOf(chosen, overlap);
    if (!best || isBetter(ladder, best)) best = ladder;
  }
  return best ?? ladderOf([], overlap);
}

function isBetter(one: Ladder, other: Ladder): boolean {
  const over = (ladder: Ladder) => Math.max(0, ladder.pathObjects - PLANNED_OBJECTS);
  return (
    over(one) - over(other) < 0 ||
    (over(one) === over(other) &&
      (one.writtenShare < other.writtenShare - 1e-9 ||
        (one.writtenShare < other.writtenShare + 1e-9 && one.levels.length < other.levels.length)))
  );
}

function ladderOf(widths: readonly (readonly [string, number])[], overlap: Overlap): Ladder {
  const { intervalMs, captureBytes } = overlap;
  const names = new Set(widths.map(([name]) => name));
  const levels: Level[] = [];
  let pathObjects = ANCHOR_OBJECTS;
  let writtenShare = 0;
  let below = intervalMs;
  let belowHour = intervalMs;
  for (const [name, widthMs] of widths) {
    const captures = widthMs / intervalMs;
    const children = Math.ceil(widthMs / below);
    // The ten minutes of an hour go when its fine states do; its half then keeps minutes within the bound.
    const ofMinutes = widthMs === HOUR && names.has('minute') && names.has('10m');
    const half = (children > HALF_ABOVE && widthMs <= HOUR) || ofMinutes;
    const halfMs = ofMinutes ? HOUR / 2 : Math.max(1, Math.round(children * HALF_AT)) * below;
    writtenShare += overlap.bytesOf(captures) / (captures * captureBytes);
    if (half) writtenShare += overlap.bytesOf(halfMs / intervalMs) / (captures * captureBytes);
    // What lies above the hour is counted with the anchors.
    if (widthMs <= HOUR)
      pathObjects += half && !ofMinutes ? Math.max(halfMs, widthMs - halfMs) / below : children - 1;
    const livesMs =
      name === '10m' && names.has('hour') && names.has('minute') ? { livesMs: TEN_MINUTES_LIVE } : {};
    levels.push({ name, widthMs, ...(half ? { halfMs } : {}), ...livesMs });
    below = widthMs;
    if (widthMs <= HOUR) belowHour = widthMs;
  }
  // Bases are looked at where hours end, whatever rungs there are above.
  if (belowHour < HOUR) pathObjects += Math.ceil(HOUR / belowHour) - 1;
  return { levels, pathObjects: Math.ceil(pathObjects), writtenShare };
}
function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((one, other) => one - other)[values.length >> 1];
}
