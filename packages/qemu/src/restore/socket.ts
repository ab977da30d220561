import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { isFitdocError, throwIfAborted } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { makeSocketFolder } from '../session/socket-folder.js';

/** Has QEMU listen at a socket of its own, by `listen`, and connects to that. */
export async function connectIncoming(
  qmp: QmpClient,
  listen: (qmp: QmpClient, uri: string, signal: AbortSignal | undefined) => Promise<void>,
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

/** Has QEMU stay and tell its reason when it cannot load, which it does from 9.1 on; before, it ends itself. */
export async function startIncoming(
  qmp: QmpClient,
  uri: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await qmp.execute('migrate-incoming', { uri, 'exit-on-error': false }, { signal });
  } catch (error) {
    if (!isFitdocError(error, 'PROTOCOL_ERROR') || !/exit-on-error/.test(error.message)) throw error;
    await qmp.execute('migrate-incoming', { uri }, { signal });
  }
}

async function open(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  throwIfAborted(signal);
  const socket = connect({ path });
  await once(socket, 'connect', signal === undefined ? {} : { signal });
  return socket;
}
