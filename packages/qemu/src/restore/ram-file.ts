import { FitdocError, type RestoreSource } from '@fitdoc/interface';
import { property } from '../machine/devices.js';
import type { QmpClient } from '../qmp/client.js';

/** Name of the region that holds the guest's main memory; empty where the checkpoint does not tell. */
export function mainRam({ info }: RestoreSource): string {
  return typeof info.platform['mainRam'] === 'string' ? info.platform['mainRam'] : '';
}

/** The fast path is only safe when main memory is a private mapping of exactly the prepared file. */
export async function checkRamFile(
  qmp: QmpClient,
  ramFile: string,
  block: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const path = `/objects/${block.replace(/^\/objects\//, '')}`;
  const [mapped, shared] = await Promise.all([
    property(qmp, path, 'mem-path', signal),
    property(qmp, path, 'share', signal),
  ]);
  if (mapped === ramFile && shared === false) return;
  throw new FitdocError(
    'MACHINE_INCOMPATIBLE',
    `The waiting QEMU does not map ${ramFile} privately as ${block}.`,
    {
      hint: `Start it with -object memory-backend-file,id=${block},mem-path=${ramFile},share=off,size=... -machine memory-backend=${block}.`,
      details: { mapped, shared },
    },
  );
}
