import type { Json } from '@fitdoc/interface';
import type { QemuVersion, QmpClient } from '../qmp/client.js';
import { readCpuFeatures, type CpuFeatures } from './cpu-flags.js';
import { property, readDevices, type Devices } from './devices.js';

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
  const { name } = await ask<{ name?: string }>('query-name');
  const { UUID: uuid } = await ask<{ UUID: string }>('query-uuid');
  const { arch } = await ask<{ arch: string }>('query-target');
  const { enabled } = await ask<{ enabled: boolean }>('query-kvm');
  const cpus = await ask<readonly { 'qom-path': string }[]>('query-cpus-fast');
  const memory = await ask<{ 'base-memory': number }>('query-memory-size-summary');
  const backend = await property(qmp, '/machine', 'memory-backend', signal);
  return {
    qemu,
    name,
    uuid: /^[0-]*$/.test(uuid) ? undefined : uuid,
    architecture: arch,
    machineType: text(await property(qmp, '/machine', 'type', signal)).replace(/-machine$/, ''),
    accelerator: enabled ? 'kvm' : 'tcg',
    cpus: cpus.length,
    cpuModel: text(await property(qmp, cpus[0]?.['qom-path'] ?? '', 'type', signal)),
    ...(await readCpuFeatures(qmp, cpus[0]?.['qom-path'] ?? '', recorded, signal)),
    memoryBytes: memory['base-memory'],
    mainRam: typeof backend === 'string' && backend !== '' ? backend : undefined,
    devices: await readDevices(qmp, signal),
    undescribed: (await property(qmp, '/machine', 'suppress-vmdesc', signal)) === true,
  };
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
