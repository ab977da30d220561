import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { makeDisk, type GuestDisk } from '../../../tools/lab/src/qemu/index.js';
import { hypervisor } from './support/hypervisor.js';
import {
  bootProving,
  directory,
  ProtectedMachine,
  removeDirectories,
  restored,
  type KeptMachine,
} from './support/disk-proof.js';
import { proveTwin, stopGuests, waitForHeartbeats, withoutQemu, type TestGuest } from './support/real.js';
import { on, testedQemus } from './support/table.js';

afterEach(async () => {
  await stopGuests();
  await removeDirectories();
});

const found = withoutQemu === undefined ? await testedQemus() : [];
/** The system's; EVERY_QEMU has the lab's others prove the same. */
const qemus = process.env['EVERY_QEMU'] ? found : found.slice(0, 1);
const CHECKPOINTS = 20;
const RESTORED = new Set([0, 4, 9, 14, 19]);

describe.each(qemus)('disks of a proving guest on QEMU $version', (qemu) => {
  test('are those of its memory by COLO and by ordinary migration, and no others', async () => {
    const disks = [await makeDisk(await directory(), 'vda')];
    const guest = await bootProving(disks, on(qemu));
    await waitForHeartbeats(guest.serialPath, (beats) => beats.filter(({ name }) => name === '1').length > 3);
    for (const mode of ['colo', 'precopy']) {
      const kept = await checkpoints(guest, mode);
      for (const each of kept) await comesBack(guest, disks, each);
      const [first, , , , last] = kept;
      await isCaught(guest, disks, { memory: last!.memory, disks: first!.disks });
    }
  }, 540_000);
});

async function checkpoints(guest: TestGuest, mode: string): Promise<KeptMachine[]> {
  // On a busy machine the guard ends the stream of a test that gave no sign of life; others test it.
  const machine = await hypervisor.attach(guest.qmpPath, { config: { mode, guard: false } });
  expect(machine.supports).toMatchObject({ disks: true, increments: mode === 'colo' });
  const protection = new ProtectedMachine(machine);
  const kept: KeptMachine[] = [];
  for (let k = 0; k < CHECKPOINTS; k++) {
    if (RESTORED.has(k)) kept.push(await protection.keep());
    else {
      const harvest = await protection.capture();
      expect(harvest.disks).toMatchObject([{ name: 'vda', kind: 'increment' }]);
      expect(harvest.kind).toBe(mode === 'colo' ? 'increment' : 'full');
    }
    await sleep(20);
  }
  await machine.detach();
  return kept;
}

async function comesBack(guest: TestGuest, disks: readonly GuestDisk[], kept: KeptMachine): Promise<void> {
  const target = await restored(guest, disks, kept);
  await proveTwin(guest, target);
  await target.stop();
}

/** The proof can fail: memory that meets an older disk says so. */
async function isCaught(guest: TestGuest, disks: readonly GuestDisk[], wrong: KeptMachine): Promise<void> {
  const target = await restored(guest, disks, wrong);
  await expect(proveTwin(guest, target)).rejects.toThrow('worker 1 found its memory corrupt');
  await target.stop();
}
