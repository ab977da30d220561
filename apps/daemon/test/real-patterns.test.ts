import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  defineDomain,
  LibvirtHost,
  makeDomain,
  missingForLibvirt,
  startDomain,
} from '../../../tools/lab/src/libvirt/index.js';
import type { MachineStatus } from '../src/model.js';
import { Place } from './support/daemon.js';

const libvirt = gate('libvirt', await missingForLibvirt());
let host: LibvirtHost;
let place: Place;

describe.skipIf(libvirt.skip)(libvirt.title("libvirt's domains by a pattern"), () => {
  beforeAll(async () => {
    host = await LibvirtHost.start();
    place = await Place.make();
  });
  afterAll(async () => {
    await place?.remove();
    await host?.stop();
  });

  test('are protected whether they run or not, each by its UUID', async () => {
    const guest = { guest: 'emulated-firmware', memoryMib: 32 } as const;
    await startDomain(host, { name: 'web', ...guest });
    for (const name of ['db', 'scratch-1'])
      await defineDomain(host, await makeDomain(host, { name, ...guest }));
    // Whole captures of emulated guests take the processor that the next one needs.
    await place.configure(`
[machines."libvirt:${host.uri}#*"]
except = ["scratch*"]
repository = "local"
every = "1h"
look-every = "1s"
`);
    const daemon = await place.start().ready();
    const web = await daemon.until('web', ({ checkpoints }) => checkpoints >= 1);
    expect(web.machineId).toBe(await host.virsh('domuuid', 'web'));
    const isOff = ({ standing }: MachineStatus): boolean => standing?.state === 'shut off';
    expect((await daemon.until('db', isOff)).standing?.message).toContain('does not run');
    await host.virsh('start', 'db');
    const db = await daemon.until('db', ({ checkpoints }) => checkpoints >= 1);
    expect(db.machineId).toBe(await host.virsh('domuuid', 'db'));
    await host.virsh('destroy', 'web');
    expect((await daemon.until('web', isOff)).checkpoints).toBeGreaterThanOrEqual(1);
    expect((await daemon.get<{ name: string }[]>('/v1/machines')).map(({ name }) => name).sort()).toEqual([
      'db',
      'web',
    ]);
    expect(await daemon.kill('SIGTERM')).toBe(0);
    expect(await host.virsh('domstate', 'db')).toBe('running');
  });
});
