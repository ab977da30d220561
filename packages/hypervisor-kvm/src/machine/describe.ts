import type { Json } from '@fitdoc/interface';
import type { QemuVersion, QmpClient } from '../qmp/client.js';

/** What can be asked of a QEMU, running or waiting, and decides whether a checkpoint of one fits another. */
export interface Description {
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
  /** Types of all devices, with the address on their bus where they have one; sorted. */
  readonly devices: readonly string[];
  /** Whether the machine leaves out the description at the end of its streams. */
  readonly undescribed: boolean;
}

interface Property {
  readonly name: string;
  readonly type: string;
}

/** Asks a QEMU what it is. */
export async function describe(
  qmp: QmpClient,
  qemu: QemuVersion,
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
    memoryBytes: memory['base-memory'],
    mainRam: typeof backend === 'string' && backend !== '' ? backend : undefined,
    devices: await devices(qmp, signal),
    undescribed: (await property(qmp, '/machine', 'suppress-vmdesc', signal)) === true,
  };
}

/** A QOM property, or undefined when there is none of that name. */
export async function property(
  qmp: QmpClient,
  path: string,
  name: string,
  signal?: AbortSignal,
): Promise<Json | undefined> {
  return qmp.execute('qom-get', { path, property: name }, { signal }).catch((error: unknown) => {
    if (signal?.aborted === true || qmp.closed.aborted) throw error;
    return undefined;
  });
}

async function devices(qmp: QmpClient, signal: AbortSignal | undefined): Promise<string[]> {
  const found: string[] = [];
  for (const path of ['/machine/unattached', '/machine/peripheral', '/machine/peripheral-anon']) {
    const children = await qmp.execute<readonly Property[]>('qom-list', { path }, { signal });
    for (const { name, type } of children) {
      const device = /^child<(.+)>$/.exec(type)?.[1];
      if (device === undefined || device === 'irq' || device === 'memory-region') continue;
      const address = path.includes('peripheral')
        ? await property(qmp, `${path}/${name}`, 'addr', signal)
        : undefined;
      found.push(typeof address === 'number' ? `${device}@${address.toString(16)}` : device);
    }
  }
  return found.sort();
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
