import { lstat, mkdir, unlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { FitdocError } from '@fitdoc/interface';

/** Most bytes of a unix socket's path, by the system's limit. */
const MOST_BYTES = 107;

/**
 * Makes the place of a unix socket free: makes its folder, and removes what a daemon that was killed left
 * behind. CONFIG_INVALID when another daemon listens there, or when it is no socket.
 */
export async function claimSocket(socket: string): Promise<void> {
  // Node would cut it off, and listen at another path without a word.
  if (Buffer.byteLength(socket) > MOST_BYTES) {
    throw new FitdocError('CONFIG_INVALID', `The path ${socket} is longer than ${MOST_BYTES} bytes.`, {
      hint: 'Name a shorter path as daemon.socket: no client could open this one.',
    });
  }
  await mkdir(path.dirname(socket), { recursive: true });
  const found = await lstat(socket).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) {
    throw new FitdocError('CONFIG_INVALID', `${socket} is there and is no socket.`, {
      hint: 'Name another path as daemon.socket.',
    });
  }
  if (await answers(socket)) {
    throw new FitdocError('CONFIG_INVALID', `Another daemon listens on ${socket}.`, {
      hint: 'Stop it first, or give this one another daemon.socket and daemon.state.',
    });
  }
  await unlink(socket);
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    // Refused: nobody has it open any more. Whatever else goes wrong, somebody may.
    connection.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'));
  });
}
