import { compact, compactable } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import type { Command } from 'commander';
import { bytes, shortId } from '../output/units.js';
import { retentionOptions, retentionPolicy, type RetentionOptions } from '../retention-options.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface CompactCliOptions extends StoreOptions, RetentionOptions {
  readonly machine?: string;
  readonly intoBase?: boolean;
  readonly dryRun?: boolean;
}

export function compactCommand(program: Command): void {
  retentionOptions(
    storeOptions(
      program
        .command('compact [from] [to]')
        .description(
          'merge checkpoints: all from one to another (default latest) into one, or, with --keep-..., those that no rule keeps',
        )
        .option('--machine <id>', 'the machine that is meant')
        .option('--into-base', 'merge everything up to [from] into a new base'),
    ),
  )
    .option('-n, --dry-run', 'say what would be merged and touch nothing')
    .action(
      action<[string | undefined, string | undefined], CompactCliOptions>(
        async (session, options, from, to) => {
          const repository = await session.repository(options);
          const runs = await runsOf(repository, options, from, to);
          const { terminal } = session;
          let freed = 0;
          for (const run of runs) {
            const what = `${run.length} checkpoints, ${shortId(run[0]?.id ?? '')} to ${shortId(run.at(-1)?.id ?? '')}`;
            if (options.dryRun) {
              terminal.line(`would merge ${what}`);
              terminal.data({ message_type: 'merge', dry_run: true, merged: run.map(({ id }) => id) });
              continue;
            }
            const report = await compact(session.engine, repository, run, {
              signal: session.signal,
              onProgress: terminal.progress,
            });
            freed += report.freedBytes - report.entry.bytes;
            terminal.line(`merged ${what} into ${shortId(report.entry.id)} (${bytes(report.entry.bytes)})`);
            for (const { entry, reasons } of report.kept) {
              terminal.line(`  ${shortId(entry.id)} stays: ${reasons.join(', ')}`);
            }
            terminal.data({ message_type: 'merge', id: report.entry.id, merged: run.map(({ id }) => id) });
          }
          if (runs.length === 0) terminal.line('nothing to merge');
          else if (!options.dryRun) terminal.line(`${bytes(Math.max(0, freed))} freed`);
          terminal.data({ message_type: 'summary', runs: runs.length, freed_bytes: freed });
        },
      ),
    );
}

async function runsOf(
  repository: Repository,
  options: CompactCliOptions,
  from: string | undefined,
  to: string | undefined,
): Promise<CheckpointEntry[][]> {
  const where = options.machine === undefined ? {} : { machine: options.machine };
  const policy = retentionPolicy(options);
  if (policy && from === undefined) return compactable(repository, policy, where);
  if (from === undefined || policy) {
    throw new FitdocError('ARGUMENT_INVALID', 'Say either which checkpoints to merge, or which to keep.', {
      hint: 'fitdoc compact FROM [TO], fitdoc compact --into-base CHECKPOINT, or fitdoc compact --keep-hourly 24.',
    });
  }
  const last = await repository.resolve(options.intoBase ? from : (to ?? 'latest'), where);
  const chain = await repository.chain(last);
  if (options.intoBase) return chain.length > 1 ? [chain] : [];
  const first = await repository.resolve(from, where);
  const start = chain.findIndex(({ id }) => id === first.id);
  if (start < 0) {
    throw new FitdocError('ARGUMENT_INVALID', `${shortId(last.id)} does not build on ${shortId(first.id)}.`, {
      hint: 'Name two checkpoints of one chain, the older first.',
    });
  }
  return start < chain.length - 1 ? [chain.slice(start)] : [];
}
