import { FitdocError } from '@fitdoc/interface';
import type { RetentionPolicy } from '@fitdoc/repository';
import type { Command } from 'commander';
import { interval, wholeNumber } from '../machine.js';
import { bytes, shortId, time } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface PruneOptions extends StoreOptions {
  readonly machine?: string;
  readonly keepLast?: string;
  readonly keepHourly?: string;
  readonly keepDaily?: string;
  readonly keepWeekly?: string;
  readonly keepMonthly?: string;
  readonly keepWithin?: string;
  readonly keepTag?: string[];
  readonly dryRun?: boolean;
}

export function pruneCommand(program: Command): void {
  storeOptions(
    program
      .command('prune')
      .description('delete checkpoints that no rule keeps; what a kept one builds on stays')
      .option('--machine <id>', 'only those of one machine')
      .option('--keep-last <n>', 'keep the newest n')
      .option('--keep-hourly <n>', 'keep the newest of each of the last n hours that have one')
      .option('--keep-daily <n>', 'likewise for days')
      .option('--keep-weekly <n>', 'likewise for weeks')
      .option('--keep-monthly <n>', 'likewise for months')
      .option('--keep-within <time>', 'keep all that are younger: 6h, 2d')
      .option('--keep-tag <name...>', 'keep those with one of these names')
      .option('-n, --dry-run', 'say what would be deleted and why the rest is kept'),
  ).action(
    action<[], PruneOptions>(async (session, options) => {
      const policy = policyOf(options);
      const repository = await session.repository(options);
      const report = await repository.prune(policy, {
        dryRun: options.dryRun ?? false,
        signal: session.signal,
        ...(options.machine !== undefined && { machine: options.machine }),
      });
      const { terminal } = session;
      const verb = options.dryRun ? 'would delete' : 'deleted';
      for (const plan of report.machines) {
        for (const { entry, reasons } of plan.keep) {
          terminal.line(`keep ${shortId(entry.id)} ${time(entry.capturedAtMs)}  ${reasons.join(', ')}`);
        }
        for (const entry of plan.remove) {
          terminal.line(`${verb} ${shortId(entry.id)} ${time(entry.capturedAtMs)}`);
        }
      }
      terminal.line(`${verb} ${report.removed} checkpoints, ${bytes(report.freedBytes)}`);
      const mergeable = report.machines.flatMap((plan) => plan.mergeable);
      if (mergeable.length > 0) {
        terminal.note('Others are kept only because kept ones build on them; fitdoc compact merges those.');
      }
      terminal.data({
        message_type: 'summary',
        dry_run: options.dryRun ?? false,
        machines: report.machines.map((plan) => ({
          machine: plan.machineId,
          kept: plan.keep.map(({ entry, reasons }) => ({ id: entry.id, reasons })),
          deleted: plan.remove.map(({ id }) => id),
        })),
        freed_bytes: report.freedBytes,
      });
    }),
  );
}

function policyOf(options: PruneOptions): RetentionPolicy {
  const number = (name: string, text: string | undefined): number | undefined =>
    text === undefined ? undefined : wholeNumber(name, text);
  const entries = {
    keepLast: number('--keep-last', options.keepLast),
    keepHourly: number('--keep-hourly', options.keepHourly),
    keepDaily: number('--keep-daily', options.keepDaily),
    keepWeekly: number('--keep-weekly', options.keepWeekly),
    keepMonthly: number('--keep-monthly', options.keepMonthly),
    keepWithinMs:
      options.keepWithin === undefined ? undefined : interval('--keep-within', options.keepWithin),
    keepTags: options.keepTag,
  };
  const given = Object.entries(entries).filter(([, value]) => value !== undefined);
  if (given.length > 0) return Object.fromEntries(given);
  throw new FitdocError('ARGUMENT_INVALID', 'No rule says what to keep.', {
    hint: 'Add at least one --keep-... option; --dry-run shows what would happen.',
  });
}
