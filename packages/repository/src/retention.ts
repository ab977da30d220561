import { FitdocError } from '@fitdoc/interface';
import type { CheckpointEntry } from './entry.js';
import { newestFirst } from './lineage.js';

/** Which checkpoints of a machine to keep. A checkpoint stays when any rule keeps it. */
export interface RetentionPolicy {
  /** The newest so many. */
  readonly keepLast?: number;
  /** The newest of each of the last so many hours (days, ...) that have a checkpoint. */
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  /** All captured within so many milliseconds before the newest. */
  readonly keepWithinMs?: number;
  /**
   * Names of tags to keep; others then do not protect. Default: every tag protects its checkpoint.
   */
  readonly keepTags?: readonly string[];
  /** IANA zone in which days and weeks (from Monday) begin. Default: the system's. */
  readonly timeZone?: string;
}

type Calendar = { year: number; month: number; day: number; hour: number };

const COUNTS = ['keepLast', 'keepHourly', 'keepDaily', 'keepWeekly', 'keepMonthly', 'keepYearly'] as const;

const BUCKETS = [
  ['keepHourly', 'hourly', (c: Calendar) => `${c.year}-${c.month}-${c.day} ${c.hour}`],
  ['keepDaily', 'daily', (c: Calendar) => `${c.year}-${c.month}-${c.day}`],
  ['keepWeekly', 'weekly', weekOf],
  ['keepMonthly', 'monthly', (c: Calendar) => `${c.year}-${c.month}`],
  ['keepYearly', 'yearly', (c: Calendar) => `${c.year}`],
] as const;

/** Throws ARGUMENT_INVALID for a policy that would keep nothing, or that makes no sense. */
export function checkPolicy(policy: RetentionPolicy): void {
  const invalid = (message: string) =>
    new FitdocError('ARGUMENT_INVALID', message, {
      hint: 'Say what to keep: the last so many, hourly, daily, weekly, monthly, yearly, or within a time.',
    });
  for (const name of [...COUNTS, 'keepWithinMs'] as const) {
    const value = policy[name];
    if (value !== undefined && !(value >= 0 && (Number.isSafeInteger(value) || value === Infinity))) {
      throw invalid(`${name} is ${value}, which is not a count.`);
    }
  }
  const keepsSome = COUNTS.some((name) => (policy[name] ?? 0) > 0) || (policy.keepWithinMs ?? 0) > 0;
  if (!keepsSome) throw invalid('The retention policy would keep nothing.');
}

/**
 * The checkpoints that a policy keeps, each with the rules that keep it. Expects checkpoints of one machine.
 * The counting follows restic's: for every rule, from the newest on, a checkpoint counts when it falls into
 * another hour (day, ...) than the one counted before.
 */
export function applyPolicy(
  entries: readonly CheckpointEntry[],
  policy: RetentionPolicy,
): Map<CheckpointEntry, string[]> {
  checkPolicy(policy);
  const newest = [...entries].sort(newestFirst);
  const kept = new Map<CheckpointEntry, string[]>();
  const keep = (entry: CheckpointEntry, reason: string) => {
    const reasons = kept.get(entry);
    if (reasons) reasons.push(reason);
    else kept.set(entry, [reason]);
  };
  for (const entry of newest.slice(0, policy.keepLast ?? 0)) keep(entry, 'last');
  const first = newest[0];
  if (first && policy.keepWithinMs) {
    const since = first.capturedAtMs - policy.keepWithinMs;
    for (const entry of newest.filter((other) => other.capturedAtMs >= since)) keep(entry, 'within');
  }
  const calendar = calendarOf(policy.timeZone);
  for (const [rule, reason, bucketOf] of BUCKETS) {
    let left = policy[rule] ?? 0;
    let last: string | undefined;
    for (const entry of newest) {
      if (left <= 0) break;
      const bucket = bucketOf(calendar(entry.capturedAtMs));
      if (bucket === last) continue;
      last = bucket;
      left--;
      keep(entry, reason);
    }
  }
  return kept;
}

function calendarOf(timeZone: string | undefined): (milliseconds: number) => Calendar {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      ...(timeZone === undefined ? {} : { timeZone }),
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
    });
  } catch (error) {
    throw new FitdocError('ARGUMENT_INVALID', `There is no time zone ${timeZone}.`, {
      cause: error,
      hint: 'Use a name like Europe/Berlin or UTC.',
    });
  }
  return (milliseconds) => {
    const parts = new Map(format.formatToParts(milliseconds).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    return { year: part('year'), month: part('month'), day: part('day'), hour: part('hour') };
  };
}

/** The Monday that begins the day's week. */
function weekOf({ year, month, day }: Calendar): string {
  const date = new Date(Date.UTC(year, month - 1, day));
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}
