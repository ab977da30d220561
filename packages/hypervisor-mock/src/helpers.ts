import { FitdocError } from '@fitdoc/interface';
import { parseMockLocation } from './location.js';
import { loadMachine } from './machine-file.js';
import type { MockGuest } from './mock-guest.js';
import { MockHypervisor } from './mock-hypervisor.js';

/** The hypervisor of `mock:` locations; its machines are those of this process. */
export const hypervisor = new MockHypervisor();

/**
 * The guest at `mock:NAME` (in this process, as it is) or `mock:file:PATH` (a copy, as it was written).
 * Errors: MACHINE_NOT_FOUND, LOCATION_INVALID.
 */
export async function mockMachine(location: string): Promise<MockGuest> {
  const { kind, target } = parseMockLocation(location);
  if (kind === 'file') return loadMachine(target);
  const guest = kind === 'name' ? hypervisor.machine(target) : undefined;
  if (guest) return guest;
  throw new FitdocError('MACHINE_NOT_FOUND', `This process has no mock machine at "${location}".`, {
    hint: 'Attach or restore to it first.',
  });
}

/** Hash of a machine's memory and device state (see `MockGuest.hash`). */
export async function machineHash(location: string): Promise<string> {
  return (await mockMachine(location)).hash('machine');
}

/** Hash of a machine's memory alone. */
export async function memoryHash(location: string): Promise<string> {
  return (await mockMachine(location)).hash('memory');
}
