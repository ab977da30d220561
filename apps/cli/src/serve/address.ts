import { lstat, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { FitdocError } from '@fitdoc/interface';
import type { NbdAddress } from '@fitdoc/nbd';

/** What the system takes for a unix socket's path, with the zero behind it. */
const MAX_SOCKET_PATH = 107;

/** `unix:PATH`, `tcp:PORT` of this machine alone, or `tcp:HOST:PORT`. ARGUMENT_INVALID. */
export function nbdAddress(text: string): NbdAddress {
  const [, socket] = /^unix:(.+)$/.exec(text) ?? [];
  if (socket !== undefined) {
    const place = path.resolve(socket);
    if (Buffer.byteLength(place) > MAX_SOCKET_PATH)
      throw wrong(`The path of a socket has at most ${MAX_SOCKET_PATH} bytes: ${place}`);
    return { path: place };
  }
  const [, host = '127.0.0.1', digits] = /^tcp:(?:(.+):)?(\d+)$/.exec(text) ?? [];
  const port = Number(digits ?? Number.NaN);
  if (!(port < 2 ** 16)) throw wrong(`--nbd takes unix:PATH, tcp:PORT or tcp:HOST:PORT, not ${text}.`);
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port };
}

/** Whether others than this machine's programs may get there. */
export function isOpenToOthers(address: NbdAddress): boolean {
  return 'host' in address && !/^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(address.host);
}

/** Removes the socket of a server that ended without doing so. ARGUMENT_INVALID where one listens, or it is no socket. */
export async function clearSocket({ path: place }: { readonly path: string }): Promise<void> {
  const there = await lstat(place).catch(() => undefined);
  if (!there) return;
  if (!there.isSocket()) throw wrong(`${place} is there and is no socket.`);
  if (await isListenedTo(place)) throw wrong(`Somebody listens at ${place}.`);
  await rm(place);
}

function isListenedTo(place: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(place);
    socket.once('connect', () => resolve(true));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

/** What a listening socket's failure means. */
export function cannotListen(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  throw new FitdocError('ARGUMENT_INVALID', `Nothing can be served there: ${message}.`, {
    cause: error,
    hint: 'Name another place with --nbd.',
  });
}

/** How clients name an export. */
export function uriOf(name: string, address: NbdAddress): string {
  const disk = encodeURIComponent(name);
  if ('path' in address) return `nbd+unix:///${disk}?socket=${encodeURI(address.path)}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `nbd://${host}:${address.port}/${disk}`;
}

function wrong(message: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', message);
}
