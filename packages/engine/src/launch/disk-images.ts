import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { CallOptions, DiskImage, DiskSource } from '@fitdoc/interface';
import { exportDisk } from '../export/disk.js';

/** Writes the disks that a checkpoint holds into a directory. Errors: those of `exportDisk`. */
export async function diskImages(
  disks: readonly DiskSource[],
  directory: string,
  options: CallOptions = {},
): Promise<DiskImage[]> {
  if (disks.length > 0) await mkdir(directory, { recursive: true, mode: 0o700 });
  const images: DiskImage[] = [];
  for (const [index, disk] of disks.entries()) {
    const file = path.join(directory, `disk-${index}.raw`);
    await exportDisk(disk, file, { ...options, replace: true });
    images.push({ disk: disk.name, file, format: 'raw' });
  }
  return images;
}
