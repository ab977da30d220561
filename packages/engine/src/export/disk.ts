import type { DiskSource } from '@fitdoc/interface';
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
  disk: DiskSource,
  file: string,
  options: OutputOptions = {},
): Promise<DiskReport> {
  const { signal, onProgress } = options;
  let written = 0;
  await writeWhole(file, options, async (handle) => {
    await handle.truncate(disk.sizeBytes);
    const behind = new WriteBehind(handle);
    try {
      for await (const { offset, bytes } of disk.read({
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
      })) {
        await behind.write(bytes, offset);
        written += bytes.length;
      }
    } finally {
      await behind.finish();
    }
  });
  return { disk: disk.name, file, bytes: disk.sizeBytes, written };
}
