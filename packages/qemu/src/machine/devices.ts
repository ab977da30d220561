import type { Json } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { fewAtOnce } from '../qmp/few-at-once.js';
import type { Part } from './parts.js';

/** The devices of a machine, as its object tree has them. */
export interface Devices {
  /** Types of all of them, the board's own parts included; sorted. */
  readonly all: readonly string[];
  /** Types of those that its command line or operator plugged in, with the address on their bus; sorted. */
  readonly plugged: readonly string[];
  /** Hardware addresses of its network cards. */
  readonly macs: readonly string[];
}

const PLUGGED = /^\/machine\/peripheral(-anon)?\/[^/]*$/;

/** Which of a machine's parts are devices, and where those are plugged in. */
export async function readDevices(
  qmp: QmpClient,
  parts: readonly Part[],
  signal?: AbortSignal,
): Promise<Devices> {
  const devices = parts.filter(({ type }) => type !== 'container');
  const isPlugged = ({ path }: Part): boolean => PLUGGED.test(path);
  const macs: string[] = [];
  const plugged = await fewAtOnce(devices.filter(isPlugged), async ({ path, type }) => {
    const of = (name: string): Promise<Json | undefined> => property(qmp, path, name, signal);
    const [address, mac] = await Promise.all([of('addr'), of('mac')]);
    if (typeof mac === 'string') macs.push(mac);
    return typeof address === 'number' ? `${type}@${address.toString(16)}` : type;
  });
  const board = devices.filter((part) => !isPlugged(part)).map(({ type }) => type);
  return { all: [...board, ...plugged].sort(), plugged: plugged.sort(), macs: macs.sort() };
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
