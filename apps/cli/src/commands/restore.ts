import { hypervisorFor } from '@fitdoc/adapters';
import { restore } from '@fitdoc/engine';
import type { Command } from 'commander';
import { adapterSettings, SET_HELP } from '../adapter-settings.js';
import { count, shortId, time } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface RestoreCliOptions extends StoreOptions {
  readonly to: string;
  readonly machine?: string;
  readonly dryRun?: boolean;
  readonly set?: string[];
}

export function restoreCommand(program: Command): void {
  storeOptions(
    program
      .command('restore <checkpoint>')
      .description('bring a machine back to a checkpoint (an id, a tag, latest, latest~2, a time)')
      .requiredOption(
        '--to <location>',
        'where: kvm:SOCKET of a QEMU started with -incoming defer, xen:NAME, mock:NAME',
      )
      .option('--machine <id>', 'the machine that names like latest mean')
      .option('-n, --dry-run', 'say what would be restored and touch nothing')
      .option('--set <key=value...>', SET_HELP),
  ).action(
    action<[string], RestoreCliOptions>(async (session, options, name) => {
      const repository = await session.repository(options);
      const where = options.machine === undefined ? {} : { machine: options.machine };
      const entry = await repository.resolve(name, where);
      const { hypervisor, rest } = await hypervisorFor(options.to);
      const { terminal } = session;
      const what = `${entry.machineName} as of ${time(entry.capturedAtMs)} (checkpoint ${shortId(entry.id)}, sequence ${entry.sequence})`;
      if (options.dryRun) {
        terminal.line(`would restore ${what} to ${options.to}`);
        terminal.data({ message_type: 'summary', dry_run: true, id: entry.id, to: options.to });
        return;
      }
      const report = await restore(
        session.engine,
        { repository, entry, hypervisor, location: rest },
        { signal: session.signal, onProgress: terminal.progress, config: adapterSettings(options.set) },
      );
      terminal.line(`restored ${what} to ${options.to}: ${report.state}, ${count(report.pages)} pages`);
      terminal.data({ message_type: 'summary', id: entry.id, to: options.to, ...report });
      for (const note of report.notes) terminal.note(note);
    }),
  );
}
