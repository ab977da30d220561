import { FitdocError } from '@fitdoc/interface';
import type { CheckpointEntry } from '../catalogue/entry.js';
import { BUCKET_MS } from '../retention/calendar.js';
import { applyPolicy, checkPolicy, COUNTS, TIERS, type RetentionPolicy } from '../retention/policy.js';
import { chooseLadder, type Overlap } from './ladder.js';
import type { Ladder } from './types.js';

/** The longest that can be simulated: ten years. */
const MOST_MS = 10 * 365 * 86_400_000;
/** Captures that one simulation looks at, at most. */
const MOST_CANDIDATES = 500_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface SimulatedMoment {
  /** Milliseconds after the first checkpoint. */
  readonly afterMs: number;
  /** Checkpoints taken by then. */
  readonly taken: number;
  /** Restore points that are kept. */
  readonly kept: number;
  /** How many of them each rule keeps; one may be kept by several. */
  readonly byRule: Readonly<Record<string, number>>;
  /** Milliseconds from the oldest kept to the last. */
  readonly reachMs: number;
  /** Bytes of a base and of one increment from each kept restore point to the next, by what was measured. */
  readonly bytes: number;
}

export interface Simulation {
  readonly moments: readonly SimulatedMoment[];
  readonly ladder: Ladder;
}

/**
 * What a policy keeps of a machine that is captured at a steady interval, after an hour, a day, a week, and so on to
 * `spanMs`. Nothing is read or written. ARGUMENT_INVALID for a span without end, an interval that is none, and a policy
 * that keeps nothing or contradicts itself.
 */
export function simulatePolicy(
  policy: RetentionPolicy,
  overlap: Overlap,
  { spanMs, everyMs }: { readonly spanMs: number; readonly everyMs: number },
): Simulation {
  checkPolicy(policy);
  if (!(spanMs > 0 && spanMs <= MOST_MS)) {
    throw new FitdocError('ARGUMENT_INVALID', 'A simulation needs a span with an end, ten years at most.', {
      hint: 'Write how long, such as 30d or 1y.',
    });
  }
  if (!(everyMs >= 1 && everyMs <= spanMs)) {
    throw new FitdocError('ARGUMENT_INVALID', 'A simulation needs an interval shorter than its span.', {
      hint: 'Write how often a checkpoint is taken, such as 1s or 5m.',
    });
  }
  const steps = [HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS, 365 * DAY_MS].filter(
    (afterMs) => afterMs < spanMs,
  );
  const moments = [...steps, spanMs].map((afterMs) => momentAt(policy, overlap, everyMs, afterMs));
  return { moments, ladder: chooseLadder(policy, overlap) };
}

function momentAt(
  policy: RetentionPolicy,
  overlap: Overlap,
  everyMs: number,
  afterMs: number,
): SimulatedMoment {
  const taken = Math.floor(afterMs / everyMs);
  const entries = [...candidates(policy, everyMs, taken)].map(captureAt(everyMs));
  const kept = applyPolicy(entries, policy);
  const byRule: Record<string, number> = {};
  for (const reasons of kept.values())
    for (const reason of reasons) byRule[reason] = (byRule[reason] ?? 0) + 1;
  const numbers = [...kept.keys()].map(({ sequence }) => sequence).sort((one, other) => one - other);
  const gaps = numbers.slice(1).map((number, index) => number - numbers[index]!);
  const bytes = gaps.reduce((sum, gap) => sum + overlap.bytesOf(gap), overlap.baseBytes);
  const reachMs = (taken - (numbers[0] ?? taken)) * everyMs;
  return { afterMs, taken, kept: kept.size, byRule, reachMs, bytes };
}

/**
 * The captures that a policy could keep: all that the rules for all ask for, and of the rest those after which a quarter
 * of an hour (or a minute, where minutes count) ends on any zone's clocks. What no rule can keep need not be made.
 */
function candidates(policy: RetentionPolicy, everyMs: number, taken: number): Set<number> {
  const found = new Set<number>();
  const add = (number: number) => {
    if (number < 0 || number > taken || found.has(number)) return;
    found.add(number);
    if (found.size <= MOST_CANDIDATES) return;
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `The policy would keep more than ${MOST_CANDIDATES} checkpoints.`,
      {
        hint: 'Simulate a shorter span, a longer interval, or a policy that thins earlier.',
      },
    );
  };
  const allMs = Math.max(policy.keepAllForMs ?? 0, policy.keepWithinMs ?? 0);
  const all = Math.max(Math.floor(allMs / everyMs) + 1, policy.keepLast ?? 0);
  for (let number = taken; number > taken - Math.min(all, taken + 1); number--) add(number);
  const coarse = [...TIERS, ...COUNTS].some(
    ([name, , bucket]) => bucket && bucket !== 'minute' && policy[name],
  );
  const ends = (stepMs: number, spanMs: number) => {
    const first = spanMs === Infinity ? 0 : Math.max(0, taken * everyMs - spanMs - stepMs);
    for (let end = Math.ceil(first / stepMs) * stepMs; end <= taken * everyMs; end += stepMs) {
      add(Math.ceil(end / everyMs) - 1);
    }
  };
  if (policy.keepMinutelyForMs) ends(BUCKET_MS.minute, policy.keepMinutelyForMs);
  if (coarse) ends(HOUR_MS / 4, Infinity);
  return found.add(taken);
}

const captureAt =
  (everyMs: number) =>
  (sequence: number): CheckpointEntry =>
    ({ sequence, capturedAtMs: sequence * everyMs, createdAtMs: 0, key: '' }) as CheckpointEntry;
