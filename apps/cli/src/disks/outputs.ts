import { lstat, mkdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { exportDisk, type CheckpointSource } from '@fitdoc/engine';
import { checkOutputPlace, FitdocError, type DiskSource } from '@fitdoc/interface';
import type { Session } from '../session.js';
import { convertDisk } from './qemu-img.js';
import { isWritten, noteWritten } from './unfinished.js';
import type { DiskPlace } from './where.js';

export interface WriteOptions {
  /** New files take the place of those that are there. */
  readonly replace: boolean;
  /** What is there, an image or a device, is written into. */
  readonly inPlace: boolean;
  /** A machine is loaded after that: what was written is noted, and a disk that an earlier try wrote is taken as it is. */
  readonly thenLoads: boolean;
}

export interface WrittenDisk extends DiskPlace {
  /** Size of the disk. */
  readonly bytes: number;
  /** Whether an earlier try had written it. */
  readonly before: boolean;
}

/** The disk of that name. ARGUMENT_INVALID where the checkpoint does not hold it. */
export function diskNamed({ disks }: CheckpointSource, name: string): DiskSource {
  const found = disks.find((disk) => disk.name === name);
  if (found) return found;
  const there = disks.map((disk) => disk.name).join(', ');
  throw new FitdocError('ARGUMENT_INVALID', `The checkpoint holds no disk ${name}.`, {
    hint: there === '' ? 'It holds no disks: they were kept by the user.' : `It holds: ${there}.`,
  });
}

/** Writes disks of a checkpoint. Nothing is written where one of the files is there and may not be replaced. */
export async function writeDisks(
  session: Session,
  source: CheckpointSource,
  places: readonly DiskPlace[],
  options: WriteOptions,
): Promise<WrittenDisk[]> {
  const ready = new Set<DiskPlace>();
  for (const place of places) {
    await mkdir(path.dirname(place.file), { recursive: true, mode: 0o700 });
    if (options.thenLoads && !options.inPlace && (await isWritten(source.entry, place))) ready.add(place);
    else if (!options.inPlace) await refuseExisting(place.file, options.replace);
  }
  const written: WrittenDisk[] = [];
  for (const place of places) {
    const before = ready.has(place);
    if (!before) await writeDisk(session, source, place, options);
    if (!before && options.thenLoads) await noteWritten(source.entry, place);
    written.push({ ...place, bytes: diskNamed(source, place.disk).sizeBytes, before });
  }
  return written;
}

/** Before anything is read. A link is what it leads to. */
export async function refuseExisting(file: string, replace: boolean | undefined): Promise<void> {
  const place = await realpath(file).catch(() => file);
  checkOutputPlace(file, await lstat(place).catch(() => undefined), replace);
}

async function writeDisk(
  { signal, terminal }: Session,
  source: CheckpointSource,
  { disk, file, format }: DiskPlace,
  { replace, inPlace }: WriteOptions,
): Promise<void> {
  const call = { signal, onProgress: terminal.progress, replace };
  const there = inPlace && (await lstat(file).catch(() => undefined)) !== undefined;
  if (format === 'raw' && !there) await exportDisk(diskNamed(source, disk), file, call);
  else await convertDisk(source, disk, file, { ...call, format, inPlace: there });
}
