import { quantile } from '../end-to-end/statistics.js';
import type { Row } from '../section.js';
import { median } from '../timing.js';
import type { Done } from './turn.js';

export const WITHOUT = 'without protection';
/** At this interval protection may cost so much of the guest's work, against none and against the draining receiver. */
const JUDGED = '1 s';
const LEAST_LEFT = 0.97;
const MOST_LOST = 1.02;

/** Turns by way, in the order of rounds. `fitdoc at 1 s` and `COLO, receiver only drains at 1 s` are such names. */
export type Turns = ReadonlyMap<string, readonly Done[]>;

export function nameOf(by: 'fitdoc' | 'drain', every: string): string {
  return `${by === 'fitdoc' ? 'fitdoc' : 'COLO, receiver only drains'}, every ${every}`;
}

/** What a guest got done by each way, and how long somebody outside waited for it. */
export function workRows(guest: string, unit: string, turns: Turns, intervals: readonly string[]): Row[] {
  const base = turns.get(WITHOUT)!;
  const left = (way: string): number =>
    median(turns.get(way)!.map(({ rate }, round) => rate / base[round]!.rate));
  const rows: Row[] = [row(`${guest}: work done`, WITHOUT, rateOf(base), unit)];
  for (const every of intervals) {
    const [ours, least] = [nameOf('fitdoc', every), nameOf('drain', every)];
    for (const way of [ours, least]) {
      const target =
        way === ours && every === JUDGED ? { target: { of: 'ratio', atLeast: LEAST_LEFT } as const } : {};
      rows.push({
        ...row(`${guest}: work done`, way, rateOf(turns.get(way)!), unit),
        ...{ ratio: left(way), ratioTo: WITHOUT, ...target },
      });
    }
    const [lost, leastLost] = [1 - left(ours), 1 - left(least)];
    rows.push({
      ...row(`${guest}: work lost, every ${every}`, 'fitdoc', 100 * lost, '%'),
      ...{ ratio: lost <= 0 ? 0 : lost / Math.max(leastLost, 0), ratioTo: nameOf('drain', every) },
      target: { of: 'ratio', atMost: MOST_LOST },
    });
  }
  return [...rows, ...waitRows(guest, turns), ...checkpointRows(guest, turns)];
}

function waitRows(guest: string, turns: Turns): Row[] {
  const p99 = (way: string): number =>
    quantile(
      turns.get(way)!.flatMap(({ waits }) => waits),
      0.99,
    );
  const base = p99(WITHOUT);
  if (Number.isNaN(base)) return [];
  return [...turns.keys()].map((way) => ({
    ...row(`${guest}: somebody outside waits, p99`, way, p99(way), 'ms'),
    ...(way !== WITHOUT && { ratio: p99(way) / base, ratioTo: WITHOUT }),
  }));
}

function checkpointRows(guest: string, turns: Turns): Row[] {
  return [...turns]
    .filter(([way]) => way !== WITHOUT)
    .map(([way, all]) =>
      row(
        `${guest}: checkpoints in those turns`,
        way,
        all.reduce((sum, { checkpoints }) => sum + checkpoints, 0),
        'checkpoints',
      ),
    );
}

function rateOf(turns: readonly Done[]): number {
  return median(turns.map(({ rate }) => rate));
}

function row(name: string, variant: string, value: number, unit: string): Row {
  return { name, variant, value, unit };
}
