import { copyCheckpoints, type CheckpointEntry, type Repository } from '@fitdoc/repository';
import type { Command } from 'commander';
import { bytes, shortId } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface CopyCliOptions extends StoreOptions {
  readonly to: string;
  readonly machine?: string;
  readonly init?: boolean;
  readonly dryRun?: boolean;
}

export function copyCommand(program: Command): void {
  storeOptions(
    program
      .command('copy [checkpoints...]')
      .description('copy checkpoints and all that they build on into another repository, verified on the way')
      .requiredOption('--to <store>', 'the other repository')
      .option('--machine <id>', 'only those of one machine; the machine that names like latest mean')
      .option('--init', 'make the other repository if it is not there')
      .option('-n, --dry-run', 'say what would be copied and touch nothing'),
  ).action(
    action<[string[]], CopyCliOptions>(async (session, options, names) => {
      const from = await session.repository(options);
      const entries = await chosen(from, names, options.machine);
      const { terminal } = session;
      if (options.dryRun) {
        for (const entry of entries)
          terminal.line(`would copy ${shortId(entry.id)} (${bytes(entry.bytes)}) and its chain`);
        terminal.data({ message_type: 'summary', dry_run: true, checkpoints: entries.map(({ id }) => id) });
        return;
      }
      const to = await session.repositoryAt(options.to, options.init ?? false);
      const report = await copyCheckpoints(from, to, entries, {
        signal: session.signal,
        onProgress: terminal.progress,
      });
      terminal.line(
        `copied ${report.copied.length} checkpoints (${bytes(report.bytes)}) to ${options.to}; ${report.present.length} were there`,
      );
      terminal.data({
        message_type: 'summary',
        copied: report.copied.map(({ id }) => id),
        present: report.present.map(({ id }) => id),
        bytes: report.bytes,
        tags: report.tags,
      });
    }),
  );
}

function chosen(
  from: Repository,
  names: readonly string[],
  machine: string | undefined,
): Promise<readonly CheckpointEntry[]> {
  const where = machine === undefined ? {} : { machine };
  if (names.length === 0) return from.checkpoints(where);
  return Promise.all(names.map((name) => from.resolve(name, where)));
}
