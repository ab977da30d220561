import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FitdocError, type DiskInfo, type DiskSource } from '@fitdoc/interface';

/**
 * MACHINE_INCOMPATIBLE, naming every difference, where a waiting QEMU's drives are not those of the checkpoint's
 * disks: each must be there, writable, and of its size. `files`: what of them was written where; QEMU must have just that
 * open.
 */
export async function checkDisks(
  wanted: readonly DiskSource[],
  present: readonly DiskInfo[],
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const differences: string[] = [];
  for (const { name, sizeBytes } of wanted) {
    const drive = present.find((each) => each.name === name);
    if (!drive) differences.push(`disk ${name} is missing`);
    else differences.push(...(await differencesOf(drive, sizeBytes, files[name])));
  }
  if (differences.length === 0) return;
  throw new FitdocError(
    'MACHINE_INCOMPATIBLE',
    `The waiting QEMU's disks differ: ${differences.join('; ')}.`,
    {
      hint: 'Start it with the options of the original and -incoming defer, on what was written of these disks.',
      details: { differences },
    },
  );
}

async function differencesOf(
  { name, writable, sizeBytes, source }: DiskInfo,
  wanted: number,
  file: string | undefined,
): Promise<string[]> {
  const found: string[] = [];
  if (!writable) found.push(`disk ${name} is read-only`);
  if (sizeBytes !== undefined && sizeBytes !== wanted)
    found.push(`disk ${name}: ${wanted} bytes wanted, ${sizeBytes} there`);
  if (file !== undefined && source !== undefined && !(await isSame(source, file)))
    found.push(`disk ${name} was written to ${file}, and QEMU has ${source} open`);
  return found;
}

/** By what the paths lead to. QEMU's may be relative to where it was started, or no path at all: then nobody can say. */
async function isSame(source: string, file: string): Promise<boolean> {
  if (!path.isAbsolute(source)) return true;
  const [one, other] = await Promise.all([source, file].map((each) => stat(each).catch(() => undefined)));
  if (!one || !other) return source === file;
  return one.dev === other.dev && one.ino === other.ino;
}
