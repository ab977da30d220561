import type { Row } from '../section.js';
import { quantile } from '../end-to-end/statistics.js';
import { median } from '../timing.js';
import type { Merged, Supervised, Taken } from './supervised.js';

/** What was seen of one side of a comparison, turn by turn. */
export interface Side {
  readonly name: string;
  readonly turns: number[][];
  readonly merged: Merged[];
}

/** How long turns take: `rounds` rounds of two turns of `turnMs` each. */
export interface Turns {
  readonly rounds: number;
  readonly turnMs: number;
}

/** Turns of 20 s, as many as fill the minutes that are asked for; at least two rounds. */
export function turnsOf(minutes: number, quick: boolean): Turns {
  if (quick) return { rounds: 2, turnMs: 8000 };
  return { rounds: Math.max(2, Math.round((minutes * 60) / 40)), turnMs: 20_000 };
}

/** What a turn is to be like: whose checkpoints are taken, and whether the machines `watched` are merged in it. */
export interface Kind {
  readonly names: readonly string[];
  readonly watched: readonly string[];
  readonly isMerging: boolean;
}

/** Turns that did not turn out as they were to be, after which it is given up. */
const MOST_IN_VAIN = 5;

/**
 * One turn, with what was merged in it. A merge may begin long after the checkpoint that it is for, where many wait for
 * theirs: a turn without merging into which one fell, or the other way round, says nothing and is taken again.
 */
export async function takeTurn(
  supervised: Supervised,
  { names, watched, isMerging }: Kind,
  turnMs: number,
  log: (message: string) => void,
): Promise<{ readonly taken: Taken[]; readonly merged: Merged }> {
  for (let vain = 0; vain < MOST_IN_VAIN; vain++) {
    await supervised.only(names);
    const before = supervised.merged(watched);
    const taken = await supervised.take(turnMs);
    const merged = mergedSince(before, supervised.merged(watched));
    if (merged.merges > 0 === isMerging) return { taken, merged };
    log(`a turn with ${merged.merges} merges is taken again`);
  }
  throw new Error(`no turn ${isMerging ? 'with' : 'without'} merges among ${MOST_IN_VAIN}`);
}

/** What was done between two looks. */
export function mergedSince(before: Merged, now: Merged): Merged {
  return {
    merges: now.merges - before.merges,
    mergedBytes: now.mergedBytes - before.mergedBytes,
    capturedBytes: now.capturedBytes - before.capturedBytes,
    removed: now.removed - before.removed,
  };
}

/**
 * p50, p90, p99 and the longest of two sides' milliseconds, all turns together; `atMost` is what the p99 of `other`
 * has to reach, as a ratio. Beside it, the middle of the turns' own ratios: one disturbance is in one of them only.
 */
export function quantileRows(what: string, base: Side, other: Side, atMost: number): Row[] {
  const shares = [
    ['p50', 0.5],
    ['p90', 0.9],
    ['p99', 0.99],
    ['longest', 1],
  ] as const;
  const rows = shares.flatMap(([label, share]): Row[] => {
    const name = `${what}, ${label}`;
    const [least, value] = [base, other].map(({ turns }) => quantile(turns.flat(), share)) as [
      number,
      number,
    ];
    const target = label === 'p99' ? { target: { of: 'ratio', atMost } as const } : {};
    return [
      { name, variant: base.name, value: least, unit: 'ms' },
      { name, variant: other.name, value, unit: 'ms', ratio: value / least, ratioTo: base.name, ...target },
    ];
  });
  const [leasts, values] = [base, other].map(({ turns }) => turns.map((turn) => quantile(turn, 0.99))) as [
    number[],
    number[],
  ];
  const ratio = median(values.map((value, turn) => value / (leasts[turn] as number)));
  rows.push({
    ...{ name: `${what}, p99 of a turn, median`, variant: other.name, value: median(values), unit: 'ms' },
    ...{ ratio, ratioTo: base.name },
  });
  return rows;
}

/** How much was seen, and what was merged while it was. */
export function countRows(what: string, sides: readonly Side[]): Row[] {
  const rows: Row[] = sides.map(({ name, turns }) => {
    return { name: what, variant: name, value: turns.flat().length, unit: 'checkpoints' };
  });
  for (const { name, merged } of sides) {
    const sum = (of: keyof Merged): number => merged.reduce((all, each) => all + each[of], 0);
    const rowOf = (label: string, value: number, unit: string): Row => {
      return { name: `${label} in those turns`, variant: name, value, unit };
    };
    rows.push(rowOf('merges', sum('merges'), 'merges'), rowOf('objects removed', sum('removed'), 'objects'));
    if (sum('capturedBytes') > 0)
      rows.push(rowOf('bytes merged a byte captured', sum('mergedBytes') / sum('capturedBytes'), 'B'));
  }
  return rows;
}
