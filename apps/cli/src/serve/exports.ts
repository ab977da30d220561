import type { CheckpointSource } from '@fitdoc/engine';
import type { NbdExport } from '@fitdoc/nbd';
import { shortId, time } from '../output/units.js';

/** Disks of a checkpoint as a server takes them; all of them where none is named. Errors: those of `openDisk`. */
export function exportsOf(source: CheckpointSource, names: readonly string[] = []): NbdExport[] {
  const { id, capturedAtMs, machineName } = source.entry;
  const chosen = names.length > 0 ? [...new Set(names)] : source.disks.map(({ name }) => name);
  return chosen.map((name) => {
    const disk = source.openDisk(name);
    return {
      name,
      sizeBytes: disk.sizeBytes,
      description: `${name} of ${machineName} as of ${time(capturedAtMs)} (checkpoint ${shortId(id)})`,
      read: (offset, length, options) => disk.read(offset, length, options),
      status: (offset, length, options) => disk.status(offset, length, options),
    };
  });
}
