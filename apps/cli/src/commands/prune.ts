import type { Command } from 'commander';
import { bytes, shortId, time } from '../output/units.js';
import { requiredPolicy, retentionOptions, type RetentionOptions } from '../retention-options.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface PruneOptions extends StoreOptions, RetentionOptions {
  readonly machine?: string;
  readonly dryRun?: boolean;
}

export function pruneCommand(program: Command): void {
  retentionOptions(
    storeOptions(
      program
        .command('prune')
        .description('delete checkpoints that no rule keeps; what a kept one builds on stays')
        .option('--machine <id>', 'only those of one machine'),
    ),
  )
    .option('-n, --dry-run', 'say what would be deleted and why the rest is kept')
    .action(
      action<[], PruneOptions>(async (session, options) => {
        const policy = requiredPolicy(options);
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
