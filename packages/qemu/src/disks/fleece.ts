import { ftruncateSync, closeSync, openSync, unlinkSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { FitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import type { DiskNames } from './names.js';

/**
 * Gives QEMU a file for what the guest overwrites before it is read: sparse, as large as the disk, and without a name,
 * so that it is gone with the node or with QEMU. Handed over as a descriptor, it needs no folder that QEMU's user can
 * enter. Errors: STORE_DENIED (the directory), PROTOCOL_ERROR.
 */
export async function addFleece(
  qmp: QmpClient,
  { fleece, fleeceFile }: DiskNames,
  { directory, sizeBytes }: { readonly directory: string; readonly sizeBytes: number },
): Promise<void> {
  const file = unnamedFile(directory, sizeBytes);
  let set: number;
  try {
    const added = await qmp.execute<{ 'fdset-id': number }>('add-fd', {}, { descriptor: file });
    set = added['fdset-id'];
  } finally {
    closeSync(file);
  }
  try {
    await qmp.execute('blockdev-add', {
      driver: 'file',
      'node-name': fleeceFile,
      filename: `/dev/fdset/${set}`,
      discard: 'unmap',
      // The descriptor is QEMU's alone, and has no name by which another could come to it.
      locking: 'off',
    });
  } finally {
    // The node has its own copy.
    await qmp.execute('remove-fd', { 'fdset-id': set }).catch(() => undefined);
  }
  await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': fleece, file: fleeceFile });
}

function unnamedFile(directory: string, sizeBytes: number): number {
  const path = join(directory, `fitdoc-fleece-${randomUUID()}`);
  let file: number | undefined;
  try {
    file = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    ftruncateSync(file, sizeBytes);
    return file;
  } catch (cause) {
    if (file !== undefined) closeSync(file);
    throw new FitdocError('STORE_DENIED', `No file for overwritten blocks can be made in ${directory}.`, {
      cause,
      hint: 'Set diskDirectory to a directory with room, which this process may write to.',
      details: { directory },
    });
  }
}
