import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDiskBeats } from '../../../tools/lab/src/libvirt/index.js';
import { hypervisor } from '../src/index.js';
import { libvirt, recordOf, TestHost } from './support/host.js';

const name = 'lin';
let on: TestHost;

describe.skipIf(libvirt.skip)(libvirt.title('a Linux domain with a disk, by ordinary migration'), () => {
  beforeAll(async () => {
    on = await TestHost.start({ name, guest: 'linux' });
  });
  afterAll(async () => on?.stop());

  test('is captured beside what libvirt does to its disks, and each checkpoint has the XML of its moment', async () => {
    await expect(hypervisor.attach(on.location)).rejects.toMatchObject({ code: 'MACHINE_HAS_DISKS' });
    await expect(hypervisor.attach(on.location, { disks: 'capture' })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
    const attached = await on.attach({ mode: 'auto' });
    expect(attached.machine.supports.increments).toBe(false);
    const before = recordOf(await attached.keep());
    await on.virsh('snapshot-create-as', name, 'one', '--disk-only', '--no-metadata');
    const after = recordOf(await attached.keep());
    expect(before.xml).not.toContain('.one');
    expect(after.xml).toContain('.one');
    expect(after.uuid).toBe(before.uuid);
    await attached.machine.detach();
    expect(await on.capabilities()).toEqual(['events']);
    const image = `${on.host.directory}/lin.save`;
    await on.virsh('save', name, image);
    await on.virsh('restore', image);
    await on.beatsOn();
    // The console's file begins anew with the restored QEMU.
    const beats = async () => readDiskBeats(on.domain.serialPath);
    await on.until('the disk beats', async () => (await beats()).length >= 2);
    const disk = await beats();
    expect(disk.every(({ intact }) => intact)).toBe(true);
  });

  test('is captured while libvirt resizes its disk and takes a backup of it', async () => {
    const attached = await on.attach({ mode: 'auto', timeoutMs: 120_000 });
    await attached.keep();
    await on.virsh('blockresize', name, 'vda', '24M');
    await on.virsh('backup-begin', name);
    await attached.keep();
    await on.until('the backup is done', async () =>
      /^Job type:\s+(None|Completed)/m.test(await on.virsh('domjobinfo', name)),
    );
    expect(await on.virsh('domjobinfo', name, '--completed')).toMatch(/^Operation:\s+Backup/m);
    await attached.keep();
    await attached.machine.detach();
    expect(await on.virsh('domblkinfo', name, 'vda')).toMatch(/^Capacity:\s+25165824$/m);
    await on.beatsOn();
  });

  test('has disks of the moment of its memory where libvirt snapshots them in the pause', async () => {
    const frozen = (await on.virsh('domblklist', name)).trim().split(/\s+/)[1]!;
    const attached = await on.attach({ mode: 'auto', timeoutMs: 120_000 });
    let said = '';
    const snapshot = ['snapshot-create-as', name, 'two', '--disk-only', '--no-metadata'];
    const run = async (): Promise<void> => {
      said = await on.virsh(...snapshot).then(() => 'done', String);
    };
    const kept = await attached.keep({ pauseTask: { timeoutMs: 60_000, run } });
    expect(said).toBe('done');
    await attached.machine.detach();
    const disk = join(on.host.directory, 'guests', 'of-the-moment.qcow2');
    await copyFile(frozen, disk);
    await on.virsh('destroy', name);
    const clone = { config: { 'disk-vda': disk, paused: false } };
    await hypervisor.restore(`${on.host.uri}#clone`, kept, clone);
    const beats = async () => readDiskBeats(`${on.domain.serialPath}.clone`);
    await on.until('the disk beats', async () => (await beats()).length >= 3);
    expect((await beats()).every(({ intact }) => intact)).toBe(true);
  });
});
