import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDomain } from '../../../tools/lab/src/libvirt/index.js';
import { run } from '../../../tools/lab/src/shell.js';
import type { KeptCheckpoint } from '../../qemu/test/support/oracle.js';
import { hypervisor } from '../src/index.js';
import { libvirt, Protected, recordOf, TestHost } from './support/host.js';

const name = 'plug';
const NOT_NOW = /not allowed while migrating/;
/** Of what is done in a pause. */
const PAUSE_MS = 20_000;
let on: TestHost;
/** A description of a source of random numbers, and the file of a second disk. */
let rng: string;
let second: string;
const kept: KeptCheckpoint[] = [];

/** Whether the XML has the second disk, and the source of random numbers. */
function plugged(checkpoint: KeptCheckpoint): { disk: boolean; rng: boolean } {
  const { xml } = recordOf(checkpoint);
  return { disk: xml.includes("<target dev='vdb'"), rng: xml.includes('<rng ') };
}

async function attachDisk(to = name): Promise<void> {
  await on.virsh('attach-disk', to, second, 'vdb', '--subdriver', 'qcow2', '--live');
}

/** libvirt's answer may come before the guest has given the disk back. */
async function detachDisk(): Promise<void> {
  await on.virsh('detach-disk', name, 'vdb', '--live');
  await on.until('the disk is gone', async () => !(await on.virsh('domblklist', name)).includes('vdb'));
}

/** Both are refused while QEMU migrates, and say why. */
async function nothingIsPlugged(): Promise<void> {
  expect(await on.refused('detach-disk', name, 'vdb', '--live')).toMatch(NOT_NOW);
  expect(await on.refused('attach-device', name, rng, '--live')).toMatch(NOT_NOW);
}

describe.skipIf(libvirt.skip)(libvirt.title('devices of a Linux domain that come and go'), () => {
  beforeAll(async () => {
    on = await TestHost.start({ name, guest: 'linux' });
    second = join(on.host.directory, 'guests', name, 'second.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', second, '4M']);
    rng = join(on.host.directory, 'rng.xml');
    await writeFile(rng, "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>");
  });
  afterAll(async () => on?.stop());

  test('one that came before is in each checkpoint; under COLO none comes or goes, in a pause or between two', async () => {
    await attachDisk();
    const attached = await on.attach();
    expect(attached.machine.info.disks).toHaveLength(2);
    expect(await attached.capture()).toBe('full');
    await nothingIsPlugged();
    await on.until('it runs', async () => (await on.state()) === 'running');
    expect(await attached.capture()).toBe('increment');
    const inPause = await attached.keep({ pauseTask: { timeoutMs: PAUSE_MS, run: nothingIsPlugged } });
    expect(plugged(inPause)).toEqual({ disk: true, rng: false });
    expect(await attached.capture()).toBe('increment');
    await attached.machine.detach();
    kept.push(inPause);
  });

  test('one that was there meanwhile can be taken away afterwards, and is in no checkpoint any more', async () => {
    await detachDisk();
    const attached = await on.attach();
    await attached.capture();
    const without = await attached.keep();
    expect(plugged(without)).toEqual({ disk: false, rng: false });
    await attached.machine.detach();
  });

  test('by ordinary migration they come and go between two captures, and what comes in a pause is in the next', async () => {
    const attached = await on.attach({ mode: 'precopy' });
    await attached.capture();
    await attachDisk();
    const attachRng = async (): Promise<void> => void (await on.virsh('attach-device', name, rng, '--live'));
    const inPause = await attached.keep({ pauseTask: { timeoutMs: PAUSE_MS, run: attachRng } });
    expect(plugged(inPause)).toEqual({ disk: true, rng: false });
    const next = await attached.keep();
    expect(plugged(next)).toEqual({ disk: true, rng: true });
    await detachDisk();
    const last = await attached.keep();
    expect(plugged(last)).toEqual({ disk: false, rng: true });
    await attached.machine.detach();
    kept.push(inPause, last);
  });

  test('it comes back from each of these with the devices of that moment', async () => {
    const truth = await on.livesOn();
    for (const checkpoint of kept) {
      await on.virsh('destroy', name);
      await rm(on.domain.serialPath);
      await hypervisor.restore(on.location, checkpoint);
      const xml = await on.virsh('dumpxml', name);
      expect(xml.includes("<target dev='vdb'")).toBe(plugged(checkpoint).disk);
      expect(xml.includes('<rng ')).toBe(plugged(checkpoint).rng);
      await truth.isProved(on.domain.serialPath);
    }
  });

  test('a disk that comes while fitdoc is attached, and of which nobody said that it is kept, is none to pass over', async () => {
    await on.virsh('destroy', name);
    await startDomain(on.host, { name: 'diskless', guest: 'emulated-firmware' });
    const location = `${on.host.uri}#diskless`;
    const machine = await hypervisor.attach(location, { config: { mode: 'precopy' } });
    const attached = new Protected(machine);
    await attached.capture();
    await attachDisk('diskless');
    await expect(attached.capture()).rejects.toMatchObject({
      code: 'MACHINE_HAS_DISKS',
      message: expect.stringContaining('plugged in while fitdoc was attached') as string,
    });
    expect(await on.virsh('domstate', 'diskless')).toBe('running');
    await machine.detach();
  });
});
