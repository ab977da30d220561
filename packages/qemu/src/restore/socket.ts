import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { throwIfAborted } from '@fitdoc/interface';
import type { QemuVersion, QmpClient } from '../qmp/client.js';
import { makeSocketFolder } from '../session/socket-folder.js';

/** Has QEMU listen at `uri`. */
export type Listen = (qmp: QmpClient, uri: string, signal: AbortSignal | undefined) => Promise<void>;

/** Has QEMU listen at a socket of its own, by `listen`, and connects to that. */
export async function connectIncoming(
  qmp: QmpClient,
  listen: Listen,
  socketDirectory: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const directory = await makeSocketFolder(socketDirectory);
  try {
    const path = join(directory, 'incoming.sock');
    await listen(qmp, `unix:${path}`, signal);
    return await open(path, signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** From this version on QEMU can stay and tell its reason when it cannot load; before, it ends itself. */
const [STAYS_MAJOR, STAYS_MINOR] = [9, 1];

/** Has QEMU listen for a stream, and stay to tell why when it cannot load it, where it can. */
export function startIncoming({ major, minor }: QemuVersion): Listen {
  const stays = major > STAYS_MAJOR || (major === STAYS_MAJOR && minor >= STAYS_MINOR);
  return async (qmp, uri, signal) => {
    await qmp.execute('migrate-incoming', stays ? { uri, 'exit-on-error': false } : { uri }, { signal });
  };
}

async function open(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  throwIfAborted(signal);
  const socket = connect({ path });
  await once(socket, 'connect', signal === undefined ? {} : { signal });
  return socket;
}
