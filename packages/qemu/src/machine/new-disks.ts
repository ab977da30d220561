import { chooseDisks, type MachineInfo } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { readDrives } from './disks.js';

/**
 * Sees that the guest has no disk to write to that it did not have at the attach: MACHINE_HAS_DISKS, as an attach to it
 * would be refused then.
 */
export async function assertNoNewDisks(
  qmp: QmpClient,
  { disks }: Pick<MachineInfo, 'disks'>,
  signal?: AbortSignal,
): Promise<void> {
  const known = new Set(disks.map(({ name }) => name));
  const { disks: found } = await readDrives(qmp, signal);
  const come = found.filter(({ name }) => !known.has(name));
  chooseDisks(come, {}, false, 'they were plugged in while fitdoc was attached');
}
