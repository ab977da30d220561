import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CheckpointSource } from '@fitdoc/engine';
import { FitdocError, throwIfAborted } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { bytes } from '../output/units.js';
import type { Session } from '../session.js';
import { writeDisks, type WrittenDisk } from './outputs.js';
import { placesOf, type PlaceOptions } from './where.js';

/** Options of `restore` that are about disks, and those that go with them. */
export interface DiskOptions extends PlaceOptions {
  readonly to?: string;
  readonly onlyDisks?: boolean;
  readonly inPlace?: boolean;
  readonly dryRun?: boolean;
  readonly force?: boolean;
}

/** `none` are written, they `alone`, or `first` and then the machine is loaded. */
export type DiskTask = 'none' | 'alone' | 'first';

/** How often it is looked whether a QEMU has been started, milliseconds. */
const LOOK_EVERY_MS = 200;

/** What becomes of disks. ARGUMENT_INVALID where the options contradict each other. */
export function diskTask({ to, disks, disk, onlyDisks, inPlace, force }: DiskOptions): DiskTask {
  const wrong = (message: string, hint: string): never => {
    throw new FitdocError('ARGUMENT_INVALID', message, { hint });
  };
  const somewhere = disks !== undefined || (disk?.length ?? 0) > 0;
  if (!somewhere && onlyDisks)
    wrong('It is not said where the disks go.', 'Add --disks FOLDER, or --disk NAME=FILE for each.');
  if (!somewhere && inPlace) wrong('--in-place is about disks.', 'Add --disk NAME=FILE for each.');
  if (inPlace && force)
    wrong(
      '--in-place and --force exclude each other.',
      '--force makes new files in the place of the old ones.',
    );
  if (!somewhere) return 'none';
  if (onlyDisks && to !== undefined)
    wrong('--only-disks and --to exclude each other.', 'Leave out one of them.');
  if (onlyDisks) return 'alone';
  if (to === undefined)
    wrong('It is not said whether the machine is loaded, too.', 'Add --to kvm:SOCKET, or --only-disks.');
  if (!to!.startsWith('kvm:') || to!.startsWith('kvm:file:'))
    wrong(
      `Disks are not written for a machine at ${to}.`,
      'Write them alone, with --only-disks; then load the machine.',
    );
  if (force)
    wrong('A machine may be on the files that --force would replace.', 'Use --in-place, or remove them.');
  return 'first';
}

/** Writes the disks where the options say. Without disks that are named each goes into the folder. */
export async function restoreDisks(
  session: Session,
  repository: Repository,
  entry: CheckpointEntry,
  options: DiskOptions,
): Promise<WrittenDisk[]> {
  const { terminal, signal } = session;
  const { dryRun, force = false, inPlace = false, to } = options;
  const thenLoads = to !== undefined;
  const written = await CheckpointSource.use(
    session.engine,
    repository,
    entry,
    { signal },
    async (source) => {
      const places = placesOf(source, options);
      if (!dryRun) return writeDisks(session, source, places, { replace: force, inPlace, thenLoads });
      for (const { disk, file, format } of places)
        terminal.line(
          `would write disk ${disk}, ${bytes(source.openDisk(disk).sizeBytes)}, to ${file} as ${format}`,
        );
      return [];
    },
  );
  for (const { disk, file, format, bytes: size, before } of written)
    terminal.line(
      `${before ? 'there already' : 'wrote'} disk ${disk} ${before ? 'in' : 'to'} ${file}: ${bytes(size)}, ${format}`,
    );
  terminal.data({
    message_type: thenLoads ? 'disks' : 'summary',
    id: entry.id,
    ...(dryRun && { dry_run: true }),
    disks: written.map(({ disk, file, format, bytes: size, before }) => ({
      disk,
      file,
      format,
      bytes: size,
      ...(before && { before }),
    })),
  });
  return written;
}

/** Waits until a QEMU listens at the socket: it could not be started before its disks were there. */
export async function waitForQemu({ terminal, signal }: Session, socket: string): Promise<void> {
  for (let told = false; !(await answers(socket)); told = true) {
    if (!told) {
      terminal.line(
        `waiting for a QEMU at ${socket}: start it on these disks, with the original's options and -incoming defer`,
      );
      terminal.data({ message_type: 'waiting', socket });
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => throwIfAborted(signal));
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const tell = (there: boolean): void => {
      socket.destroy();
      resolve(there);
    };
    socket.once('connect', () => tell(true));
    // Anything but its absence is for whoever connects in earnest to tell.
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      tell(code !== 'ENOENT' && code !== 'ECONNREFUSED'),
    );
  });
}
