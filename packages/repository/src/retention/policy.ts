import { FitdocError } from '@fitdoc/interface';
import type { CheckpointEntry } from '../catalogue/entry.js';
import { BUCKET_MS, Calendar, type Bucket } from './calendar.js';
import { chainTimes, type ChainTimes } from './chain-time.js';

/** Which checkpoints of a machine to keep. A checkpoint stays when any rule keeps it. */
export interface RetentionPolicy {
  /** The last so many. */
  readonly keepLast?: number;
  /** The last of each of the last so many hours (days, ...) that have a checkpoint. */
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  /** All captured within so many milliseconds before the last. */
  readonly keepWithinMs?: number;
  /** The same, as the first of the tiers below. */
  readonly keepAllForMs?: number;
  /**
   * The last of each minute (hour, ...) of the so many milliseconds before the last checkpoint. Tiers go from fine
   * to coarse, and a coarser one reaches further back than every finer one.
   */
  readonly keepMinutelyForMs?: number;
  readonly keepHourlyForMs?: number;
  readonly keepDailyForMs?: number;
  readonly keepWeeklyForMs?: number;
  readonly keepMonthlyForMs?: number;
  readonly keepYearlyForMs?: number;
  /**
   * Names of tags to keep; others then do not protect. Default: every tag protects its checkpoint.
   */
  readonly keepTags?: readonly string[];
  /** IANA zone in which days and weeks (from Monday) begin. Default: the system's. */
  readonly timeZone?: string;
}

export const COUNTS = [
  ['keepHourly', 'hourly', 'hour'],
  ['keepDaily', 'daily', 'day'],
  ['keepWeekly', 'weekly', 'week'],
  ['keepMonthly', 'monthly', 'month'],
  ['keepYearly', 'yearly', 'year'],
] as const;

/** Fine to coarse. The bucket is undefined where all is kept. */
export const TIERS = [
  ['keepAllForMs', 'all', undefined],
  ['keepMinutelyForMs', 'minutely', 'minute'],
  ['keepHourlyForMs', 'hourly', 'hour'],
  ['keepDailyForMs', 'daily', 'day'],
  ['keepWeeklyForMs', 'weekly', 'week'],
  ['keepMonthlyForMs', 'monthly', 'month'],
  ['keepYearlyForMs', 'yearly', 'year'],
] as const;

/** Throws ARGUMENT_INVALID for a policy that would keep nothing, or that contradicts itself. */
export function checkPolicy(policy: RetentionPolicy): void {
  const names = ['keepLast', 'keepWithinMs', ...COUNTS.map(([name]) => name), ...TIERS.map(([name]) => name)];
  const amounts = names.map(
    (name) => [name, policy[name as keyof RetentionPolicy] as number | undefined] as const,
  );
  for (const [name, value] of amounts) {
    if (value !== undefined && !(value >= 0 && (Number.isSafeInteger(value) || value === Infinity))) {
      throw invalid(`${name} is ${value}, which is not a count.`, WHAT_TO_SAY);
    }
  }
  checkTiers(policy);
  if (!amounts.some(([, value]) => (value ?? 0) > 0)) {
    throw invalid('The retention policy would keep nothing.', WHAT_TO_SAY);
  }
}

const WHAT_TO_SAY =
  'Say what to keep: the last so many, all for 2h, one a minute for 2d, hourly for 14d, daily for a year, say.';

function invalid(message: string, hint: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', message, { hint });
}

/** A coarser tier that ends no later than a finer one could never keep anything. */
function checkTiers(policy: RetentionPolicy): void {
  let finer: readonly [string, number] | undefined;
  for (const [name, reason, bucket] of TIERS) {
    const spanMs = policy[name];
    if (spanMs === undefined || spanMs === 0) continue;
    if (bucket && spanMs < BUCKET_MS[bucket]) {
      throw invalid(
        `The tier '${reason}' lasts for ${spanOf(spanMs)}, which is less than one ${bucket}.`,
        `Let it last for some ${bucket}s, or leave it out.`,
      );
    }
    if (finer && spanMs <= finer[1]) {
      throw invalid(
        `The tier '${reason}' for ${spanOf(spanMs)} ends before '${finer[0]}' for ${spanOf(finer[1])}, which keeps more.`,
        `Let '${reason}' last for longer than ${spanOf(finer[1])}, or leave one of the two out.`,
      );
    }
    finer = [reason, spanMs];
  }
}

function spanOf(milliseconds: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const;
  const [unit, size] = units.find(([, each]) => milliseconds % each === 0) ?? ['ms', 1];
  return `${milliseconds / size}${unit}`;
}

/**
 * The checkpoints that a policy keeps, each with the rules that keep it. Expects checkpoints of one machine, one for
 * each state. They are taken in the machine's own order; what a clock said only sorts them into minutes, hours and
 * days, and counts only where it fits that order (see `chainTimes`). The counting of so many hours (days, ...) is
 * restic's: from the last on, a checkpoint counts when it falls into another one than the one counted before.
 */
export function applyPolicy(
  entries: readonly CheckpointEntry[],
  policy: RetentionPolicy,
  times: ChainTimes = chainTimes(entries),
): Map<CheckpointEntry, string[]> {
  checkPolicy(policy);
  const { ordered } = times;
  const timeOf = (entry: CheckpointEntry) => times.timeOf(entry);
  const kept = new Map<CheckpointEntry, string[]>();
  const keep = (entry: CheckpointEntry, reason: string) => {
    const reasons = kept.get(entry);
    if (!reasons) kept.set(entry, [reason]);
    else if (!reasons.includes(reason)) reasons.push(reason);
  };
  for (const entry of ordered.slice(0, policy.keepLast ?? 0)) keep(entry, 'last');
  const [head] = ordered;
  if (!head) return kept;
  const calendar = new Calendar(policy.timeZone);
  const keepLastOfEach = (bucket: Bucket, reason: string, most: number, sinceMs: number) => {
    let last: number | undefined;
    let left = most;
    for (const entry of ordered) {
      const time = timeOf(entry);
      if (left <= 0 || time < sinceMs) break;
      const number = calendar.bucket(bucket, time);
      if (number === last) continue;
      last = number;
      left--;
      keep(entry, reason);
    }
  };
  const keepAllSince = (sinceMs: number, reason: string) => {
    for (const entry of ordered) {
      if (timeOf(entry) < sinceMs) break;
      keep(entry, reason);
    }
  };
  const headMs = timeOf(head);
  if (policy.keepWithinMs) keepAllSince(headMs - policy.keepWithinMs, 'within');
  for (const [name, reason, bucket] of COUNTS) keepLastOfEach(bucket, reason, policy[name] ?? 0, -Infinity);
  for (const [name, reason, bucket] of TIERS) {
    const spanMs = policy[name];
    if (!spanMs) continue;
    if (bucket) keepLastOfEach(bucket, `${reason} tier`, Infinity, headMs - spanMs);
    else keepAllSince(headMs - spanMs, 'all');
  }
  return kept;
}
