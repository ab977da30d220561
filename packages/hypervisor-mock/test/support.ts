import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { OracleSink } from '@fitdoc/compliance/hypervisor';
import type { Harvest, Machine, RestoreSource } from '@fitdoc/interface';
import { onTestFinished } from 'vitest';
import { MockHypervisor } from '../src/mock-hypervisor.js';
import type { MockGuest } from '../src/mock-guest.js';

export { OracleSink };

/** A machine of a hypervisor of its own, attached; detached when the test ends. */
export async function attach(
  location: string,
  options: Parameters<MockHypervisor['attach']>[1] = {},
): Promise<{ hypervisor: MockHypervisor; machine: Machine; guest: MockGuest; sink: OracleSink }> {
  const hypervisor = new MockHypervisor();
  const machine = await hypervisor.attach(location, options);
  onTestFinished(() => machine.detach());
  const guest = hypervisor.machine(location.replace(/\?.*/s, '')) as MockGuest;
  return { hypervisor, machine, guest, sink: new OracleSink(machine.info.regions) };
}

/** Takes `count` captures and commits them; gives the last. */
export async function capture(machine: Machine, sink: OracleSink, count = 1): Promise<Harvest> {
  for (let i = 1; i < count; i++) await (await sink.capture(machine)).commit();
  const last = await sink.capture(machine);
  await last.commit();
  return last;
}

/** What a new attachment captures first, as the source of a restore. */
export async function checkpoint(machine: Machine, captures = 3): Promise<RestoreSource> {
  const sink = new OracleSink(machine.info.regions);
  return sink.source(machine, await capture(machine, sink, captures));
}

/** A directory that is removed when the test ends. */
export async function directory(): Promise<string> {
  const place = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-mock-'));
  onTestFinished(() => rm(place, { recursive: true, force: true }));
  return place;
}
