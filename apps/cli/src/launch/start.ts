import { start } from '@fitdoc/engine';
import { hypervisorFor } from '@fitdoc/adapters';
import type { Launched } from '@fitdoc/interface';
import type { Command } from 'commander';
import { adapterSettings } from '../adapter-settings.js';
import { shortId, time } from '../output/units.js';
import { lazyRequest, lazySummary, lazyTimes, type LazyOptions } from '../restore/options.js';
import { resumeLine } from '../restore/resume-line.js';
import { serving } from '../restore/serving.js';
import type { Session } from '../session.js';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { placeFor } from './place.js';

export interface StartOptions extends Omit<LazyOptions, 'to'> {
  readonly dir?: string;
  readonly set?: string[];
}

export function startOptions(command: Command): Command {
  return command
    .option(
      '--start',
      'start the machine as it was started when the checkpoint was taken; options behind -- take the place of its own',
    )
    .option('--dir <folder>', 'with --start: where its sockets and logs are (default: a new one)');
}

/** Starts a checkpoint's machine with its recorded command, brings it back and lets go of it. */
export async function startMachine(
  session: Session,
  repository: Repository,
  entry: CheckpointEntry,
  options: StartOptions,
  changed: readonly string[],
): Promise<void> {
  const { terminal } = session;
  const { hypervisor } = await hypervisorFor(`${entry.scheme}:`);
  const place = await placeFor(options.dir, entry.machineName);
  let launched: Launched | undefined;
  const to = (): string => `${entry.scheme}:${launched?.location ?? place.path}`;
  const how = resumeLine(entry.id, { ...options, to: `${entry.scheme}:${place.path}/machine/qmp.sock` });
  const served = serving(session, to, entry.id, how);
  try {
    const started = await start(
      session.engine,
      {
        ...{ repository, entry, hypervisor, ...lazyRequest(options) },
        launch: { directory: `${place.path}/machine`, changed },
        onLaunched: (made) => (launched = made),
      },
      { ...served.options, config: adapterSettings(options.set) },
    );
    await started.launched.release();
    const { report } = started;
    const what = `${entry.machineName} as of ${time(entry.capturedAtMs)} (checkpoint ${shortId(entry.id)})`;
    terminal.line(
      `started ${what} at ${to()}: process ${started.launched.pid}, ${report.state}, ${lazySummary(report)}`,
    );
    terminal.data({
      ...{ message_type: 'summary', id: entry.id, to: to(), pid: started.launched.pid },
      ...{ directory: place.path, state: report.state, pages: report.pages, notes: report.notes },
      ...{ command: started.launched.command.words, ...lazyTimes(report) },
    });
    for (const note of report.notes) terminal.note(note);
  } catch (error) {
    // One whose guest runs has its sockets there.
    if (launched === undefined || launched.gone.aborted) await place.remove();
    throw error;
  } finally {
    served.dispose();
  }
}
