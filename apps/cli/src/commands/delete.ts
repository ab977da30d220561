import { isIntact, type ListedEntry } from '@fitdoc/repository';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.js';
import { bytes, shortId } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface DeleteOptions extends StoreOptions {
  readonly machine?: string;
  readonly dryRun?: boolean;
}

export function deleteCommand(program: Command): void {
  storeOptions(
    program
      .command('delete <checkpoints...>')
      .alias('rm')
      .description(
        'delete checkpoints (damaged ones by the key that list prints); one that others build on stays, and so does one with a name',
      )
      .option('--machine <id>', 'the machine that names like latest mean')
      .option('-n, --dry-run', 'say what would be deleted and touch nothing'),
  ).action(
    action<[string[]], DeleteOptions>(async (session, options, names) => {
      const repository = await session.repository(options);
      const where = session.where(options.machine);
      const entries = await Promise.all(names.map((name) => repository.find(name, where)));
      const report = await repository.delete(entries, {
        dryRun: options.dryRun ?? false,
        signal: session.signal,
      });
      const verb = options.dryRun ? 'would delete' : 'deleted';
      for (const entry of report.removed) {
        session.terminal.line(`${verb} ${nameOf(entry)} (${bytes(entry.bytes)})`);
      }
      for (const { entry, reasons } of report.kept) {
        session.terminal.line(`kept ${shortId(entry.id)}: ${reasons.join(', ')}`);
      }
      session.terminal.data({
        message_type: 'summary',
        dry_run: options.dryRun ?? false,
        deleted: report.removed.map(nameOf),
        kept: report.kept.map(({ entry, reasons }) => ({ id: entry.id, reasons })),
      });
      return report.kept.length > 0 ? EXIT.partly : EXIT.done;
    }),
  );
}

function nameOf(entry: ListedEntry): string {
  return isIntact(entry) ? entry.id : entry.key;
}
