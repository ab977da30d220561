import type { TimelinePoint } from '../state/state.js';

/** A stretch of time: the newest `seconds`, everything, or what was dragged over. */
export type Range = number | 'all' | { readonly from: number; readonly to: number };

export const presets: readonly { readonly label: string; readonly range: Range }[] = [
  { label: '2 min', range: 120 },
  { label: '15 min', range: 900 },
  { label: '1 h', range: 3600 },
  { label: '6 h', range: 21_600 },
  { label: '24 h', range: 86_400 },
  { label: 'All', range: 'all' },
];

const ENOUGH_POINTS = 40;

export const seconds = ({ capturedAt }: TimelinePoint): number => Date.parse(capturedAt) / 1000;

/** The shortest preset that has enough of the newest checkpoints to see something; `all` where all are fewer. */
export function fittingRange(points: readonly TimelinePoint[], now: number): Range {
  const oldest = points.at(-ENOUGH_POINTS);
  if (!oldest) return 'all';
  const needed = now / 1000 - seconds(oldest);
  return presets.find(({ range }) => typeof range === 'number' && range >= needed)?.range ?? 'all';
}

/** From and to in seconds; a bar at either end is seen whole. */
export function boundsOf(
  range: Range,
  points: readonly TimelinePoint[],
  now: number,
): readonly [number, number] {
  if (typeof range === 'object') return [range.from, range.to];
  const newest = points.at(-1);
  const oldest = points[0];
  const to = Math.max(now / 1000, newest ? seconds(newest) : 0);
  if (typeof range === 'number') return [to - range, to + range * 0.005];
  const from = oldest ? seconds(oldest) : to - 60;
  const margin = Math.max(2, (to - from) * 0.01);
  return [from - margin, to + margin];
}
