import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LibvirtHost } from '../../../tools/lab/src/libvirt/index.js';
import { readHeartbeats, waitForHeartbeats } from '../../../tools/lab/src/qemu/index.js';
import type { KeptCheckpoint } from '../../qemu/test/support/oracle.js';
import { hypervisor } from '../src/index.js';
import { libvirt, Protected, recordOf, TestHost, Truth } from './support/host.js';

const name = 'nomad';
let on: TestHost;
const consoleThere = (): string => `${on.domain.serialPath}.there`;
/** Another host, as libvirt sees it: its own name, UUID and daemons. */
let there: LibvirtHost;

/** Migrates the domain, whose console goes on in a file of its own: both hosts' files are those of one machine. */
async function migrate(from: LibvirtHost, to: LibvirtHost, console: string): Promise<string> {
  const file = join(on.host.directory, 'migrated.xml');
  const xml = await from.virsh('dumpxml', '--migratable', name);
  await writeFile(file, xml.replaceAll(/(?<=<source path=')[^']*/g, console));
  return from.migrate(name, to, '--xml', file);
}

async function attachThere(mode: string): Promise<Protected> {
  return new Protected(await hypervisor.attach(`${there.uri}#${name}`, { config: { mode } }));
}

/** Ends the domain on the other host, and brings it back there. */
async function provesItselfThere(checkpoint: KeptCheckpoint, truth: Truth): Promise<void> {
  await there.virsh('destroy', name);
  const console = /<source path='([^']*)/.exec(recordOf(checkpoint).xml)![1]!;
  await rm(console);
  await hypervisor.restore(`${there.uri}#${name}`, checkpoint);
  await truth.isProved(console);
}

describe.skipIf(libvirt.skip)(libvirt.title('a domain that is migrated to another host'), () => {
  beforeAll(async () => {
    on = await TestHost.start({ name, guest: 'emulated-firmware', memoryMib: 32 });
    there = await LibvirtHost.start({ hostname: 'there' });
  });
  afterAll(async () => {
    await on?.stop();
    await there?.stop();
  });

  test('is not beside COLO, is after a detach, and its captures go on there under its UUID', async () => {
    const attached = await on.attach();
    expect(await attached.capture()).toBe('full');
    expect(await migrate(on.host, there, consoleThere()).catch(String)).toMatch(/migrate-set-capabilities/);
    await on.until('it runs', async () => (await on.state()) === 'running');
    // There is no domain at all.
    await expect(attachThere('auto')).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
    expect(await attached.capture()).toBe('increment');
    const before = await attached.keep();
    await on.beatsOn();
    await attached.machine.detach();
    expect(await on.capabilities()).toEqual(['events']);

    const truth = new Truth(await on.beats());
    await migrate(on.host, there, consoleThere());
    expect(await on.state()).toBe('shut off');
    await expect(on.attach()).rejects.toMatchObject({ code: 'MACHINE_NOT_RUNNING' });
    const later = await attachThere('colo');
    expect(later.machine.info.id).toBe(attached.machine.info.id);
    expect(later.machine.info.regions).toEqual(attached.machine.info.regions);
    expect(await later.capture()).toBe('full');
    const after = await later.keep();
    await later.machine.detach();

    const lived = (await readHeartbeats(consoleThere())).length;
    const beats = await waitForHeartbeats(consoleThere(), (found) => found.length >= lived + 6, 120_000);
    await provesItselfThere(after, new Truth(beats));
    await provesItselfThere(before, truth);
  });

  test('between two captures by ordinary migration ends its attachment, which says where it went', async () => {
    const attached = await attachThere('precopy');
    await attached.capture();
    await migrate(there, on.host, on.domain.serialPath);
    await on.until('it is gone', async () => attached.machine.gone.aborted);
    expect(attached.machine.gone.reason).toMatchObject({
      code: 'MACHINE_GONE',
      message: expect.stringContaining('was migrated to another host') as string,
    });
    await expect(attached.capture()).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    await attached.machine.detach();
    await on.beatsOn();
    expect(await on.capabilities()).toEqual(['events']);
  });
});
