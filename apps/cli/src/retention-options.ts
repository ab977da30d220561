import { FitdocError } from '@fitdoc/interface';
import { checkPolicy, type RetentionPolicy } from '@fitdoc/repository';
import type { Command } from 'commander';
import { interval } from './interval.js';
import { wholeNumber } from './machine.js';

/** The rules that say which checkpoints to keep, as options. */
export interface RetentionOptions {
  readonly keepLast?: string;
  readonly keepHourly?: string;
  readonly keepDaily?: string;
  readonly keepWeekly?: string;
  readonly keepMonthly?: string;
  readonly keepYearly?: string;
  readonly keepWithin?: string;
  readonly keepAllFor?: string;
  readonly keepMinutelyFor?: string;
  readonly keepHourlyFor?: string;
  readonly keepDailyFor?: string;
  readonly keepWeeklyFor?: string;
  readonly keepMonthlyFor?: string;
  readonly keepYearlyFor?: string;
  readonly keepTag?: string[];
}

export function retentionOptions(command: Command): Command {
  return command
    .option('--keep-last <n>', 'keep the newest n')
    .option('--keep-hourly <n>', 'keep the newest of each of the last n hours that have one')
    .option('--keep-daily <n>', 'likewise for days')
    .option('--keep-weekly <n>', 'likewise for weeks')
    .option('--keep-monthly <n>', 'likewise for months')
    .option('--keep-yearly <n>', 'likewise for years')
    .option('--keep-within <time>', 'keep all that are younger: 6h, 2d')
    .option('--keep-all-for <time>', 'tiers, from the last checkpoint back: all for 2h, say')
    .option('--keep-minutely-for <time>', 'then the last of each minute, for 2d, say')
    .option('--keep-hourly-for <time>', 'then of each hour, for 14d, say')
    .option('--keep-daily-for <time>', 'then of each day, for 1y, say')
    .option('--keep-weekly-for <time>', 'likewise for weeks')
    .option('--keep-monthly-for <time>', 'likewise for months')
    .option('--keep-yearly-for <time>', 'likewise for years')
    .option('--keep-tag <name...>', 'keep those with one of these names (default: all that have a name)');
}

export function retentionPolicy(options: RetentionOptions): RetentionPolicy | undefined {
  const number = (name: string, text: string | undefined): number | undefined =>
    text === undefined ? undefined : wholeNumber(name, text);
  const span = (name: string, text: string | undefined): number | undefined =>
    text === undefined ? undefined : interval(name, text);
  const rules = {
    keepLast: number('--keep-last', options.keepLast),
    keepHourly: number('--keep-hourly', options.keepHourly),
    keepDaily: number('--keep-daily', options.keepDaily),
    keepWeekly: number('--keep-weekly', options.keepWeekly),
    keepMonthly: number('--keep-monthly', options.keepMonthly),
    keepYearly: number('--keep-yearly', options.keepYearly),
    keepWithinMs: span('--keep-within', options.keepWithin),
    keepAllForMs: span('--keep-all-for', options.keepAllFor),
    keepMinutelyForMs: span('--keep-minutely-for', options.keepMinutelyFor),
    keepHourlyForMs: span('--keep-hourly-for', options.keepHourlyFor),
    keepDailyForMs: span('--keep-daily-for', options.keepDailyFor),
    keepWeeklyForMs: span('--keep-weekly-for', options.keepWeeklyFor),
    keepMonthlyForMs: span('--keep-monthly-for', options.keepMonthlyFor),
    keepYearlyForMs: span('--keep-yearly-for', options.keepYearlyFor),
    keepTags: options.keepTag,
  };
  const given = Object.entries(rules).filter(([, value]) => value !== undefined);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

export function requiredPolicy(options: RetentionOptions): RetentionPolicy {
  const policy = retentionPolicy(options);
  if (policy) {
    checkPolicy(policy);
    return policy;
  }
  throw new FitdocError('ARGUMENT_INVALID', 'No rule says what to keep.', {
    hint: 'Add at least one --keep-... option; --dry-run shows what would happen.',
  });
}
