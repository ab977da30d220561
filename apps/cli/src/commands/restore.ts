import { restore, type RestoreRequest } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { Command } from 'commander';
import { adapterSettings, SET_HELP } from '../adapter-settings.js';
import { diskTask, restoreDisks, waitForQemu, type DiskOptions } from '../disks/restore-disks.js';
import { forgetWritten } from '../disks/unfinished.js';
import type { DiskPlace } from '../disks/where.js';
import { hypervisorAt } from '../machine.js';
import { shortId, time } from '../output/units.js';
import {
  checkLazyOptions,
  lazyOptions,
  lazyRequest,
  lazySummary,
  lazyTimes,
  type LazyOptions,
} from '../restore/options.js';
import { startMachine, startOptions } from '../launch/start.js';
import { resumeLine } from '../restore/resume-line.js';
import { serving } from '../restore/serving.js';
import { action, storeOptions, type Session } from '../session.js';

/** As given: without a place to restore to where only disks are written. */
interface GivenOptions extends Omit<LazyOptions, 'to'>, DiskOptions {
  readonly machine?: string;
  readonly set?: string[];
  readonly start?: boolean;
  readonly dir?: string;
}

type RestoreCliOptions = GivenOptions & LazyOptions;

export function restoreCommand(program: Command): void {
  const command = program
    .command('restore <checkpoint> [options...]')
    .description('bring a machine back to a checkpoint (an id, a tag, latest, latest~2, a time)')
    .option(
      '--to <location>',
      'where: kvm:SOCKET of a QEMU started with -incoming defer, libvirt:NAME (another name makes a clone), xen:NAME, mock:NAME',
    )
    .option(
      '--disks <folder>',
      'write the disks that the checkpoint holds there first, each as a raw image NAME.raw, then load the machine',
    )
    .option(
      '--disk <name=file...>',
      'write this disk there; NAME=FILE,format=qcow2 for qcow2. Without --disks only those that are named',
    )
    .option('--in-place', 'write into images or devices that are there, whatever they hold')
    .option('--only-disks', 'write the disks and load no machine')
    .option('--machine <id>', 'the machine that names like latest mean')
    .option('--force', 'where the target is a file that is there, replace it')
    .option('-n, --dry-run', 'say what would be restored and touch nothing');
  storeOptions(lazyOptions(startOptions(command)).option('--set <key=value...>', SET_HELP)).action(
    action<[string, string[]], GivenOptions>(async (session, given, name, changed) => {
      const disks = diskTask(given);
      const options = { ...given, to: given.to ?? '' };
      if (given.start === true) checkStart(given);
      else if (disks !== 'alone') checkTarget(options, changed);
      const repository = await session.repository(options);
      const where = session.where(options.machine);
      const entry = await repository.resolve(name, where);
      if (disks === 'alone') {
        await restoreDisks(session, repository, entry, given);
        return;
      }
      if (given.start === true && !given.dryRun)
        return startMachine(session, repository, entry, given, changed);
      const what = `${entry.machineName} as of ${time(entry.capturedAtMs)} (checkpoint ${shortId(entry.id)}, sequence ${entry.sequence})`;
      const written = disks === 'first' ? await restoreDisks(session, repository, entry, given) : [];
      if (options.dryRun) return tellDry(session, what, options, entry.id);
      const { hypervisor, rest } = await hypervisorAt(options.to);
      const also = await secondCopy(session, options, entry.id, entry.machineId);
      const request: RestoreRequest = {
        ...{ repository, entry, hypervisor, location: rest },
        ...(also && { also }),
        ...lazyRequest(options),
      };
      // QEMU opens its disks when it starts: it may not have been started before they were there.
      if (written.length > 0) await waitForQemu(session, rest);
      const report = await bring(session, request, options, written);
      await forgetWritten(written);
      tell(session, `restored ${what} to ${options.to}`, { id: entry.id, to: options.to }, report);
    }),
  );
}

function tellDry({ terminal }: Session, what: string, { to, start }: RestoreCliOptions, id: string): void {
  terminal.line(`would restore ${what} to ${start === true ? 'a machine that is started' : to}`);
  terminal.data({ message_type: 'summary', dry_run: true, id, to });
}

/** What a restore came to: for people, for programs, and what both should know. */
function tell(
  { terminal }: Session,
  what: string,
  place: { readonly id: string; readonly to: string },
  report: Awaited<ReturnType<typeof bring>>,
): void {
  terminal.line(`${what}: ${report.state}, ${lazySummary(report)}`);
  terminal.data({ message_type: 'summary', ...place, ...report, ...lazyTimes(report) });
  for (const note of report.notes) terminal.note(note);
}

async function bring(
  session: Session,
  request: RestoreRequest,
  options: RestoreCliOptions,
  written: readonly DiskPlace[],
) {
  const { id } = request.entry;
  const disks = Object.fromEntries(written.map(({ disk, file }) => [disk, file]));
  const config = {
    ...adapterSettings(options.set),
    ...(written.length > 0 && { disks }),
  };
  const served = serving(session, () => options.to, id, resumeLine(id, options));
  try {
    return await restore(session.engine, request, {
      ...served.options,
      config,
      replace: options.force ?? false,
    });
  } finally {
    served.dispose();
  }
}

/** The same checkpoint in the repository of --also. */
async function secondCopy(
  session: Session,
  { also }: LazyOptions,
  id: string,
  machine: string,
): Promise<RestoreRequest['also']> {
  if (also === undefined) return undefined;
  const repository = await session.repositoryAt(also, false);
  return { repository, entry: await repository.resolve(id, { machine }) };
}

/** ARGUMENT_INVALID before anything is opened. */
function checkStart(options: GivenOptions): void {
  const excluded = Object.entries({
    '--to': options.to,
    '--only-disks': options.onlyDisks,
    '--disks': options.disks,
    '--disk': options.disk,
    '--resume': options.resume,
    '--also': options.also,
  }).filter(([, value]) => value !== undefined);
  if (excluded.length === 0) return;
  throw new FitdocError('ARGUMENT_INVALID', `--start and ${excluded[0]![0]} exclude each other.`, {
    hint: 'A machine that is started has a place of its own, which is told: go on from there with --to.',
  });
}

/** ARGUMENT_INVALID before anything is opened. */
function checkTarget(options: RestoreCliOptions, changed: readonly string[]): void {
  if (changed.length > 0) {
    throw new FitdocError('ARGUMENT_INVALID', `${changed.join(' ')} belongs to nothing.`, {
      hint: 'Options behind -- are for a machine that is started: add --start.',
    });
  }
  if (options.to === '') {
    throw new FitdocError('ARGUMENT_INVALID', 'It is not said where to restore to.', {
      hint: 'Add --to kvm:SOCKET, xen:NAME or mock:NAME; or write disks alone: --only-disks --disks FOLDER.',
    });
  }
  checkLazyOptions(options);
}
