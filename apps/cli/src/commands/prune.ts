import { FitdocError } from '@fitdoc/interface';
import type { PrunePlan, Repository, RetentionPolicy } from '@fitdoc/repository';
import type { Command } from 'commander';
import { byteSize } from '../machine.js';
import { bytes, shortId, time } from '../output/units.js';
import { foreseen, thinMachine } from '../prune/merging.js';
import { requiredPolicy, retentionOptions, type RetentionOptions } from '../retention-options.js';
import { simulate, type SimulateOptions } from '../prune/simulate.js';
import { action, storeOptions, type Session, type StoreOptions } from '../session.js';

interface PruneOptions extends StoreOptions, RetentionOptions, SimulateOptions {
  readonly machine?: string;
  readonly dryRun?: boolean;
  readonly merge: boolean;
  readonly bandwidth?: string;
}

export function pruneCommand(program: Command): void {
  retentionOptions(
    storeOptions(
      program
        .command('prune')
        .description(
          'delete what no rule keeps, and merge so that it frees what it held and restores read little',
        )
        .option('--machine <id>', 'only those of one machine')
        .option('--no-merge', 'only delete: what a kept checkpoint builds on stays')
        .option('--bandwidth <size>', 'bytes a second that merging may read and write: 20M'),
    ),
  )
    .option('--simulate <span>', 'touch nothing; show what the rules keep over time: 30d, 1y')
    .option('--every <time>', 'with --simulate: how often a checkpoint is taken', '1s')
    .option('-n, --dry-run', 'say what would be deleted and why the rest is kept')
    .action(
      action<[], PruneOptions>(async (session, options) => {
        const policy = requiredPolicy(options);
        if (options.simulate !== undefined) return simulate(session.terminal, policy, options);
        const bandwidth =
          options.bandwidth === undefined ? undefined : byteSize('--bandwidth', options.bandwidth);
        if (bandwidth !== undefined && !options.merge) {
          throw new FitdocError(
            'ARGUMENT_INVALID',
            '--bandwidth limits merging, and --no-merge leaves it out.',
          );
        }
        const repository = await session.repository(options);
        // What a bucket with versions keeps is not freed.
        session.tellNotes(repository.store);
        if (options.merge) await merging(session, repository, policy, options, bandwidth);
        else await deleting(session, repository, policy, options);
      }),
    );
}

async function merging(
  session: Session,
  repository: Repository,
  policy: RetentionPolicy,
  options: PruneOptions,
  bandwidth: number | undefined,
): Promise<void> {
  const all = (await repository.machines({ signal: session.signal })).map(({ id }) => id);
  const machines = options.machine === undefined ? all : all.filter((id) => id === options.machine);
  const summaries = [];
  let failed: FitdocError | undefined;
  for (const machine of machines) {
    if (options.dryRun) {
      summaries.push(await foreseen(session, repository, machine, policy));
      continue;
    }
    const { summary, failure } = await thinMachine(session, repository, machine, policy, bandwidth);
    summaries.push(summary);
    failed ??= failure;
  }
  const freed = summaries.reduce((sum, { freed_bytes }) => sum + freed_bytes, 0);
  const deleted = summaries.reduce((sum, summary) => sum + summary.deleted.length, 0);
  const verb = options.dryRun ? 'would delete' : 'deleted';
  session.terminal.line(`${verb} ${deleted} checkpoints${options.dryRun ? '' : `, ${bytes(freed)} freed`}`);
  session.terminal.data({
    message_type: 'summary',
    dry_run: options.dryRun ?? false,
    machines: summaries,
    freed_bytes: freed,
  });
  if (failed) throw failed;
}

async function deleting(
  session: Session,
  repository: Repository,
  policy: RetentionPolicy,
  options: PruneOptions,
): Promise<void> {
  const report = await repository.prune(policy, {
    dryRun: options.dryRun ?? false,
    signal: session.signal,
    ...(options.machine !== undefined && { machine: options.machine }),
  });
  const { terminal } = session;
  const verb = options.dryRun ? 'would delete' : 'deleted';
  for (const plan of report.machines) tell(session, plan, verb);
  terminal.line(`${verb} ${report.removed} checkpoints, ${bytes(report.freedBytes)}`);
  if (report.machines.some(({ mergeable }) => mergeable.length > 0)) {
    terminal.note(
      'Others are kept only because kept ones build on them; without --no-merge those are merged.',
    );
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
}

function tell({ terminal }: Session, plan: PrunePlan, verb: string): void {
  for (const { entry, reasons } of plan.keep) {
    terminal.line(`keep ${shortId(entry.id)} ${time(entry.capturedAtMs)}  ${reasons.join(', ')}`);
  }
  for (const entry of plan.remove) {
    terminal.line(`${verb} ${shortId(entry.id)} ${time(entry.capturedAtMs)}`);
  }
}
