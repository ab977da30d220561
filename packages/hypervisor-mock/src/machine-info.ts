import path from 'node:path';
import type { MachineInfo } from '@fitdoc/interface';
import type { MockGuest } from './mock-guest.js';

/** The machine type that a restore asks for; it changes when device state does. */
export const MACHINE_TYPE = 'mock-1';

export function infoOf(guest: MockGuest, machineId?: string): MachineInfo {
  const { workload } = guest.shape;
  return {
    id: machineId ?? guest.id,
    name: guest.name,
    hypervisor: 'mock',
    scheme: 'mock',
    architecture: 'x86_64',
    regions: guest.regions,
    platform: { machine: MACHINE_TYPE, workload },
    disks: guest.disks.map(({ name, sizeBytes }) => ({
      name,
      writable: true,
      source: `${guest.name}-${name}.img`,
      format: 'raw',
      sizeBytes,
    })),
  };
}

/** A name that serves as an identity, made of a path. */
export function nameOfPath(file: string): string {
  const name = path
    .basename(file)
    .replace(/\.(ramtrace\.zst|ram|raw|img|bin)$/, '')
    .replace(/[^A-Za-z0-9._-]/g, '-');
  return name.slice(0, 64) || 'machine';
}
