import type { Json } from '@fitdoc/interface';
import type { QemuVersion, QmpClient } from '../qmp/client.js';
import { readCpuFeatures, type CpuFeatures } from './cpu-flags.js';
import { property, readDevices, type Devices } from './devices.js';
import { readParts } from './parts.js';

/** What can be asked of a QEMU, running or waiting, and decides whether a checkpoint of one fits another. */
export interface Description extends CpuFeatures {
  readonly qemu: QemuVersion;
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  readonly architecture: string;
  /** Versioned: `pc-i440fx-7.2`. */
  readonly machineType: string;
  readonly accelerator: 'kvm' | 'tcg';
  readonly cpus: number;
  readonly cpuModel: string;
  /** Bytes of main memory. */
  readonly memoryBytes: number;
  /** Name of the RAM block that holds it, when it is one. */
  readonly mainRam: string | undefined;
  readonly devices: Devices;
  /** Whether the machine leaves out the description at the end of its streams. */
  readonly undescribed: boolean;
}

/** Asks a QEMU what it is. Few questions are about a first CPU that is as `recorded`. */
export async function describe(
  qmp: QmpClient,
  qemu: QemuVersion,
  recorded?: CpuFeatures,
  signal?: AbortSignal,
): Promise<Description> {
  const ask = <Result>(command: string): Promise<Result> => qmp.execute<Result>(command, {}, { signal });
  const ofMachine = (of: string): Promise<Json | undefined> => property(qmp, '/machine', of, signal);
  // Together: QEMU answers one after the other, but need not wait for us in between.
  const [{ name }, { UUID: uuid }, { arch }, { enabled }, cpus, memory, parts, ...machine] =
    await Promise.all([
      ask<{ name?: string }>('query-name'),
      ask<{ UUID: string }>('query-uuid'),
      ask<{ arch: string }>('query-target'),
      ask<{ enabled: boolean }>('query-kvm'),
      ask<readonly { 'qom-path': string }[]>('query-cpus-fast'),
      ask<{ 'base-memory': number }>('query-memory-size-summary'),
      readParts(qmp, signal),
      ofMachine('memory-backend'),
      ofMachine('type'),
      ofMachine('suppress-vmdesc'),
    ]);
  const [backend, type, undescribed] = machine;
  const cpu = cpus[0]?.['qom-path'] ?? '';
  const [cpuType, features, devices] = await Promise.all([
    property(qmp, cpu, 'type', signal),
    readCpuFeatures(qmp, cpu, recorded, signal),
    readDevices(qmp, parts, signal),
  ]);
  return {
    qemu,
    name,
    uuid: /^[0-]*$/.test(uuid) ? undefined : uuid,
    architecture: arch,
    machineType: text(type).replace(/-machine$/, ''),
    accelerator: enabled ? 'kvm' : 'tcg',
    cpus: cpus.length,
    cpuModel: text(cpuType),
    ...features,
    memoryBytes: memory['base-memory'],
    mainRam: typeof backend === 'string' && backend !== '' ? backend : undefined,
    devices,
    undescribed: undescribed === true,
  };
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
