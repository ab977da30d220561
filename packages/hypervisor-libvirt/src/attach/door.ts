import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { throwIfAborted, type DeviceState } from '@fitdoc/interface';
import { connectStream, type Connected, type ConnectOptions, type Door, type QmpClient } from '@fitdoc/qemu';
import { formatDomainLocation, parseDomainLocation } from '../connection/location.js';
import { DESCRIBE, LIFE, RUNS } from '../helper/commands.js';
import { programFile } from './programs.js';

/** Name of the device state in which a checkpoint keeps the domain: a `DomainRecord` as JSON. */
export const DOMAIN_STATE = 'libvirt.domain';

/** How long libvirt may take to open a connection and find the domain, milliseconds. */
const OPENING_MS = 60_000;

/**
 * Opens the QMP of a domain through libvirt, which is in a process of its own: a fault, or a long wait, of the C library
 * stays there. That process ends with the connection, and the connection with it. Descriptors go through.
 */
async function connect(location: string, options: ConnectOptions = {}): Promise<Connected> {
  throwIfAborted(options.signal);
  const at = parseDomainLocation(location);
  const child = spawn(process.execPath, [programFile('helper'), at.uri, at.domain], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    // What a terminal sends to us is not for it: it is needed for as long as we detach.
    detached: true,
  });
  child.on('error', () => undefined);
  child.unref();
  const socket = child.stdio[3] as Socket;
  const out = { ...options, outOfBand: false, greetingMs: OPENING_MS };
  return connectStream(socket, formatDomainLocation(at), out);
}

/** The door of libvirt's domains. */
export const door: Door = {
  scheme: 'libvirt',
  // A snapshot of libvirt's would go below our filter, which could then not be taken away: see docs/libvirt.md.
  diskObstacle:
    'of a libvirt domain they are kept by libvirt (virsh backup-begin, or a snapshot in a pause hook) or below it',
  // libvirt's own; `virsh domfsfreeze` asks it.
  agentTaken: true,
  guard: programFile('guard'),
  connect,
  life: async (client) => client.execute<string>(LIFE),
  runs: async (client, signal) => client.execute<boolean>(RUNS, {}, { signal }),
  states: async (client: QmpClient, signal: AbortSignal): Promise<readonly DeviceState[]> => {
    const record = await client.execute(DESCRIBE, {}, { signal });
    return [{ name: DOMAIN_STATE, bytes: Buffer.from(JSON.stringify(record)) }];
  },
};
