import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { stateOf, type CheckpointEntry } from '@fitdoc/repository';
import type { DiskPlace } from './where.js';

/**
 * A small file beside a disk that was written for a machine whose memory is not loaded yet: if that fails, the same
 * command goes on with the disk instead of refusing to write over it, or writing gigabytes again.
 */
function noteFile({ file }: DiskPlace): string {
  return `${file}.fitdoc-restore`;
}

/** What the disk is of, and how its file was left: who writes into it changes that. */
async function noteOf(entry: CheckpointEntry, { disk, file, format }: DiskPlace): Promise<string> {
  const { size, mtimeNs } = await stat(file, { bigint: true });
  return JSON.stringify({ state: stateOf(entry), disk, format, size: `${size}`, modified: `${mtimeNs}` });
}

export async function noteWritten(entry: CheckpointEntry, place: DiskPlace): Promise<void> {
  await writeFile(noteFile(place), await noteOf(entry, place), { mode: 0o600 });
}

/** Whether the file is that disk of that checkpoint, as it was written by a command that did not come to its end. */
export async function isWritten(entry: CheckpointEntry, place: DiskPlace): Promise<boolean> {
  const [noted, present] = await Promise.all([
    readFile(noteFile(place), 'utf8').catch(() => undefined),
    noteOf(entry, place).catch(() => undefined),
  ]);
  return noted !== undefined && noted === present;
}

export async function forgetWritten(places: readonly DiskPlace[]): Promise<void> {
  for (const place of places) await rm(noteFile(place), { force: true });
}
