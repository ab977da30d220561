import { copyFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  LibvirtHost,
  missingForLibvirt,
  startDomain,
  type TestDomain,
} from '../../../tools/lab/src/libvirt/index.js';
import { readHeartbeats, waitForHeartbeats } from '../../../tools/lab/src/qemu/index.js';
import { OracleMemory, type KeptCheckpoint } from '../../qemu/test/support/oracle.js';
import { DOMAIN_STATE } from '../src/attach/door.js';
import { hypervisor } from '../src/hypervisor.js';
import { readRecord } from '../src/restore/record.js';

const libvirt = gate('libvirt', await missingForLibvirt());
const name = 'linux';
let host: LibvirtHost;
let domain: TestDomain;
let location: string;
let checkpoint: KeptCheckpoint;
const beats = () => readHeartbeats(domain.serialPath);
/** The original's beats, by number. */
const truth = new Map<number, string>();

async function learn(): Promise<void> {
  for (const { beat, sum } of await beats()) truth.set(beat, sum);
}

/** Sees the first beats of a console that nothing had been written to, each as the original had it. */
async function provesItself(serialPath: string): Promise<void> {
  const found = await waitForHeartbeats(serialPath, (seen) => seen.length >= 3, 120_000);
  expect(truth.has(found[0]!.beat)).toBe(true);
  for (const { beat, sum, intact } of found) {
    expect(intact).toBe(true);
    if (truth.has(beat)) expect(sum).toBe(truth.get(beat));
  }
}

/** Ends the original, and what it had written on its console. */
async function end(): Promise<void> {
  await host.virsh('destroy', name);
  await rm(domain.serialPath);
}

/** The checkpoint, had its domain been another. */
function changed(change: (xml: string) => string): KeptCheckpoint {
  const record = readRecord(checkpoint);
  const bytes = Buffer.from(JSON.stringify({ ...record, migratableXml: change(record.migratableXml) }));
  const others = checkpoint.deviceState.filter((state) => state.name !== DOMAIN_STATE);
  return Object.assign(Object.create(Object.getPrototypeOf(checkpoint) as object), checkpoint, {
    deviceState: [...others, { name: DOMAIN_STATE, bytes }],
  }) as KeptCheckpoint;
}

describe.skipIf(libvirt.skip)(libvirt.title('a domain brought back by libvirt'), () => {
  beforeAll(async () => {
    host = await LibvirtHost.start();
    domain = await startDomain(host, { name, guest: 'linux' });
    location = `${host.uri}#${name}`;
    await waitForHeartbeats(domain.serialPath, (found) => found.length >= 4, 240_000);
    const machine = await hypervisor.attach(location, { disks: 'external' });
    const memory = new OracleMemory(machine.info);
    const harvest = await machine.capture(memory);
    await harvest.commit();
    checkpoint = memory.keep(machine.info, harvest.deviceState);
    await machine.detach();
    // It lives on beyond what the restored ones will be asked for.
    const captured = (await beats()).length;
    await waitForHeartbeats(domain.serialPath, (found) => found.length >= captured + 8, 120_000);
    await learn();
  });
  afterAll(async () => host?.stop());

  test('is refused while it runs, and while something of it is missing, before anything is touched', async () => {
    const clone = `${host.uri}#clone`;
    await expect(hypervisor.restore(location, checkpoint)).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
    await expect(hypervisor.restore(clone, checkpoint)).rejects.toMatchObject({
      code: 'MACHINE_CONFLICT',
      hint: expect.stringContaining('--set disk-vda=FILE') as string,
    });
    const config = { 'disk-vda': '/nowhere/disk.qcow2' };
    await expect(hypervisor.restore(clone, checkpoint, { config })).rejects.toMatchObject({
      code: 'MACHINE_INCOMPATIBLE',
      message: expect.stringContaining('/nowhere/disk.qcow2 is missing') as string,
    });
    const interfaces = `<interface type='network'><source network='blue'/><mac address='52:54:00:01:02:03'/></interface></devices>`;
    const elsewhere = changed((xml) =>
      xml.replace('</devices>', interfaces).replace(/machine='pc-i440fx-[^']*'/, "machine='pc-i440fx-99.9'"),
    );
    const refused = await hypervisor
      .restore(clone, elsewhere, { config: { 'disk-vda': domain.diskPath } })
      .then(String, (error: Error) => error.message);
    expect(refused).toContain('pc-i440fx-99.9');
    expect(refused).toContain('there is no network blue');
    await expect(hypervisor.restore(clone, checkpoint, { config: { disk: 1 } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    expect(await host.virsh('list', '--all', '--name')).toBe(name);
  });

  test('lives as a clone beside its original, paused at first', async () => {
    const disk = join(host.directory, 'guests', 'clone.qcow2');
    await copyFile(domain.diskPath!, disk);
    const report = await hypervisor.restore(`${host.uri}#clone`, checkpoint, {
      config: { 'disk-vda': disk },
    });
    expect(report).toMatchObject({ state: 'paused' });
    expect(report.notes.join()).toContain('virsh resume clone');
    expect(await host.virsh('domstate', 'clone')).toBe('paused');
    expect(await host.virsh('domstate', name)).toBe('running');
    expect(await host.virsh('domuuid', 'clone')).not.toBe(await host.virsh('domuuid', name));
    expect(await host.virsh('domblklist', 'clone')).toContain(disk);
    await host.virsh('resume', 'clone');
    await provesItself(`${domain.serialPath}.clone`);
    await host.virsh('destroy', 'clone');
    const before = (await beats()).length;
    await waitForHeartbeats(domain.serialPath, (found) => found.length >= before + 2, 120_000);
  });

  test('comes back as itself', async () => {
    await end();
    expect(await hypervisor.restore(location, checkpoint)).toMatchObject({ state: 'running' });
    expect(await host.virsh('domstate', name)).toBe('running');
    await provesItself(domain.serialPath);
  });

  test('comes back by virsh, of an image that fitdoc wrote', async () => {
    await end();
    const image = join(host.directory, 'ours.save');
    expect(await hypervisor.restore(`file:${image}`, checkpoint)).toMatchObject({ state: 'written' });
    expect((await stat(image)).mode & 0o777).toBe(0o600);
    expect(await host.virsh('save-image-dumpxml', image)).toContain(`<name>${name}</name>`);
    await host.virsh('restore', image);
    await provesItself(domain.serialPath);
    await expect(hypervisor.restore(`file:${image}`, checkpoint)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });

  test('is listed by what libvirt tells of it', async () => {
    process.env['LIBVIRT_DEFAULT_URI'] = host.uri;
    const tags = ['--uri', 'urn:fitdoc:tags', '--key', 'fitdoc', '--set', '<tags>nightly web</tags>'];
    await host.virsh('metadata', name, ...tags);
    const [found] = (await hypervisor.machines?.()) ?? [];
    const id = await host.virsh('domuuid', name);
    expect(found).toMatchObject({
      name,
      location: name,
      locations: [id, `${host.uri}#${name}`, `${host.uri}#${id}`],
      tags: ['nightly', 'web'],
      id,
      state: 'running',
      memoryBytes: 128 * 2 ** 20,
      disks: [{ name: 'vda', writable: true, source: domain.diskPath }],
    });
    await host.virsh('suspend', name);
    const [paused] = (await hypervisor.machines?.()) ?? [];
    expect(paused).toMatchObject({ state: 'paused', refused: { code: 'MACHINE_NOT_RUNNING' } });
    await host.virsh('destroy', name);
    const [off] = (await hypervisor.machines?.()) ?? [];
    expect(off).toMatchObject({ state: 'shut off', refused: { code: 'MACHINE_NOT_RUNNING' } });
  });
});
