import { FitdocError } from '@fitdoc/interface';
import type { RetentionPolicy } from '@fitdoc/repository';
import type { Command } from 'commander';
import { interval, wholeNumber } from './machine.js';

/** The rules that say which checkpoints to keep, as options. */
export interface RetentionOptions {
  readonly keepLast?: string;
  readonly keepHourly?: string;
  readonly keepDaily?: string;
  readonly keepWeekly?: string;
  readonly keepMonthly?: string;
  readonly keepWithin?: string;
  readonly keepTag?: string[];
}

export function retentionOptions(command: Command): Command {
  return command
    .option('--keep-last <n>', 'keep the newest n')
    .option('--keep-hourly <n>', 'keep the newest of each of the last n hours that have one')
    .option('--keep-daily <n>', 'likewise for days')
    .option('--keep-weekly <n>', 'likewise for weeks')
    .option('--keep-monthly <n>', 'likewise for months')
    .option('--keep-within <time>', 'keep all that are younger: 6h, 2d')
    .option('--keep-tag <name...>', 'keep those with one of these names (default: all that have a name)');
}

export function retentionPolicy(options: RetentionOptions): RetentionPolicy | undefined {
  const number = (name: string, text: string | undefined): number | undefined =>
    text === undefined ? undefined : wholeNumber(name, text);
  const rules = {
    keepLast: number('--keep-last', options.keepLast),
    keepHourly: number('--keep-hourly', options.keepHourly),
    keepDaily: number('--keep-daily', options.keepDaily),
    keepWeekly: number('--keep-weekly', options.keepWeekly),
    keepMonthly: number('--keep-monthly', options.keepMonthly),
    keepWithinMs:
      options.keepWithin === undefined ? undefined : interval('--keep-within', options.keepWithin),
    keepTags: options.keepTag,
  };
  const given = Object.entries(rules).filter(([, value]) => value !== undefined);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

export function requiredPolicy(options: RetentionOptions): RetentionPolicy {
  const policy = retentionPolicy(options);
  if (policy) return policy;
  throw new FitdocError('ARGUMENT_INVALID', 'No rule says what to keep.', {
    hint: 'Add at least one --keep-... option; --dry-run shows what would happen.',
  });
}
