import type { FileHandle } from 'node:fs/promises';
import type { CallOptions, DiskSource } from '@fitdoc/interface';
import type { SelfWritingDisk } from '../disks/read-disk.js';
import { DirectFile } from './direct-file.js';
import { WriteBehind, writeWhole, type OutputOptions } from './partial-file.js';

export interface DiskReport {
  readonly disk: string;
  readonly file: string;
  /** Size of the disk, and so of the file. */
  readonly bytes: number;
  /** Bytes written; all others are zero, and holes in the file. */
  readonly written: number;
}

/**
 * Writes a checkpoint's disk to `file` as a raw image, sparse, and syncs it. Errors: those of reading, ARGUMENT_INVALID
 * where the file is there and may not be replaced, STORE_FULL, STORE_DENIED.
 */
export async function exportDisk(
  disk: DiskSource | SelfWritingDisk,
  file: string,
  options: OutputOptions = {},
): Promise<DiskReport> {
  let written: number | undefined;
  await writeWhole(file, options, async (handle) => {
    await handle.truncate(disk.sizeBytes);
    if ('writeTo' in disk) written = await writeItself(disk, handle, options);
    written ??= await writeExtents(disk, handle, options);
  });
  return { disk: disk.name, file, bytes: disk.sizeBytes, written: written ?? 0 };
}

async function writeItself(
  disk: SelfWritingDisk,
  handle: FileHandle,
  options: CallOptions,
): Promise<number | undefined> {
  const direct = await DirectFile.of(handle);
  try {
    return await disk.writeTo(direct, options);
  } finally {
    await direct.close();
  }
}

async function writeExtents(
  disk: DiskSource,
  handle: FileHandle,
  { signal, onProgress }: CallOptions,
): Promise<number> {
  let written = 0;
  const behind = new WriteBehind(handle);
  const reading = disk.read({ ...(signal && { signal }), ...(onProgress && { onProgress }) });
  try {
    for await (const { offset, bytes } of reading) {
      await behind.write(bytes, offset);
      written += bytes.length;
    }
  } finally {
    await behind.finish();
  }
  return written;
}
