import type { Json } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { fewAtOnce } from '../qmp/few-at-once.js';

/** The devices of a machine, as its object tree has them. */
export interface Devices {
  /** Types of all of them, the board's own parts included; sorted. */
  readonly all: readonly string[];
  /** Types of those that its command line or operator plugged in, with the address on their bus; sorted. */
  readonly plugged: readonly string[];
  /** Hardware addresses of its network cards. */
  readonly macs: readonly string[];
}

interface Property {
  readonly name: string;
  readonly type: string;
}

/** Parts of devices that no stream knows of, and that have no parts themselves. */
const NO_DEVICES = /^(irq|IRQ|.*memory-region)$/;
const PLUGGED = /^\/machine\/peripheral(-anon)?\/[^/]*$/;

export async function readDevices(qmp: QmpClient, signal?: AbortSignal): Promise<Devices> {
  const all: string[] = [];
  const plugged: string[] = [];
  const macs: string[] = [];
  const look = async (path: string): Promise<string[]> => {
    const children = await qmp.execute<readonly Property[]>('qom-list', { path }, { signal });
    const further: string[] = [];
    for (const { name, type } of children) {
      const device = /^child<(.+)>$/.exec(type)?.[1];
      const child = `${path}/${name}`;
      if (device === undefined || NO_DEVICES.test(device)) continue;
      further.push(child);
      if (device === 'container') continue;
      if (PLUGGED.test(child)) {
        const address = await property(qmp, child, 'addr', signal);
        plugged.push(typeof address === 'number' ? `${device}@${address.toString(16)}` : device);
        all.push(plugged.at(-1)!);
        const mac = await property(qmp, child, 'mac', signal);
        if (typeof mac === 'string') macs.push(mac);
      } else all.push(device);
    }
    return further;
  };
  for (let level = ['/machine']; level.length > 0;) level = (await fewAtOnce(level, look)).flat();
  return { all: all.sort(), plugged: plugged.sort(), macs: macs.sort() };
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
