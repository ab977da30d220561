import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from '@fitdoc/interface';
import { afterAll, describe, expect, test } from 'vitest';
import { directory, removeDirectories } from './support/disk-proof.js';
import { hypervisor } from './support/hypervisor.js';
import { OracleMemory } from './support/oracle.js';
import { bareMetal, boot, settings, stopGuests, withoutQemu, type TestGuest } from './support/real.js';

afterAll(async () => {
  await stopGuests();
  await removeDirectories();
});

const SIZE = 4 << 20;

async function attach(guest: TestGuest, more: object = {}): Promise<Machine> {
  return hypervisor.attach(guest.qmpPath, { disks: 'capture', config: settings(guest), ...more });
}

describe.skipIf(withoutQemu)('disks that cannot be captured are refused by name', () => {
  test('one that others may write to', async () => {
    const shared =
      '-drive file=FOLDER/virtio,format=raw,if=none,id=shared -device virtio-blk-pci,drive=shared,share-rw=on';
    const folder = await directory();
    await writeFile(join(folder, 'virtio'), Buffer.alloc(SIZE));
    const guest = await boot(
      bareMetal({ extraArgs: shared.split(' ').map((arg) => arg.replace('FOLDER', folder)) }),
    );
    await expect(attach(guest)).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: expect.stringContaining('shared may be written by others, too (share-rw=on)') as string,
    });
    await expect(attach(guest, { disks: undefined })).rejects.toMatchObject({
      code: 'MACHINE_HAS_DISKS',
      message: expect.stringContaining('share-rw=on') as string,
    });
    const machine = await attach(guest, { leaveOutDisks: ['shared'] });
    const harvest = await machine.capture(new OracleMemory(machine.info));
    expect(harvest.disks ?? []).toEqual([]);
    await harvest.commit();
    await machine.detach();
    await guest.stop();
  });

  test('a folder of the host that the guest writes to', async () => {
    const fsdev = ['-fsdev', `local,id=f,path=${await directory()},security_model=none`];
    const guest = await boot(
      bareMetal({ extraArgs: [...fsdev, '-device', 'virtio-9p-pci,fsdev=f,mount_tag=t,id=files'] }),
    );
    for (const disks of ['capture', undefined])
      await expect(attach(guest, { disks })).rejects.toMatchObject({
        code: 'MACHINE_HAS_DISKS',
        message: 'The guest writes to storage of others: files (virtio-9p-pci).',
      });
    const machine = await attach(guest, { disks: 'external' });
    await machine.detach();
    await guest.stop();
  });
});
