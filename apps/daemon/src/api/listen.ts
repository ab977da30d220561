import { chmod, chown, readFile } from 'node:fs/promises';
import { FitdocError } from '@fitdoc/interface';
import { groupId } from '@fitdoc/adapters';
import type { Logger } from 'pino';
import type { DaemonSettings } from '../config/schema.js';
import { localGuard, tokenGuard } from './access.js';
import { createApp } from './app.js';
import type { ApiContext, App } from './context.js';

export interface Listening {
  /** The TCP address, where there is one. */
  readonly address: string | undefined;
  close(): Promise<void>;
}

/** Serves the API on the unix socket and, where the settings say so, on TCP. CONFIG_INVALID. */
export async function listen(
  context: ApiContext,
  settings: DaemonSettings,
  logger: Logger,
): Promise<Listening> {
  const apps: App[] = [];
  const close = async (): Promise<void> => {
    context.events.close();
    await Promise.all(apps.map(closeApp));
  };
  try {
    const local = await createApp(context, logger, localGuard());
    apps.push(local);
    await listenOnSocket(local, settings.socket, settings.group);
    if (settings.listen === undefined) return { address: undefined, close };
    const token = await readToken(settings['token-file'] ?? '');
    const remote = await createApp(context, logger, tokenGuard(token));
    apps.push(remote);
    const [, host = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(settings.listen) ?? [];
    return { address: await remote.listen({ host, port: Number(port) }), close };
  } catch (error) {
    await close();
    throw asListenError(error);
  }
}

/** The socket appears with its mode: it is never there for anybody else. A group is let in afterwards. */
async function listenOnSocket(app: App, socket: string, group: string | undefined): Promise<void> {
  const gid = group === undefined ? undefined : await groupId(group);
  const before = process.umask(0o177);
  try {
    // Within this tick the socket is bound, so no other file is made under this mask.
    const listening = new Promise<void>((resolve, reject) => {
      app.server.once('listening', resolve).once('error', reject);
      app.server.listen(socket);
    });
    process.umask(before);
    await listening;
  } finally {
    process.umask(before);
  }
  if (gid === undefined) return;
  await chown(socket, -1, gid);
  await chmod(socket, 0o660);
}

async function closeApp(app: App): Promise<void> {
  const closed = new Promise((resolve) => app.server.close(resolve));
  app.server.closeAllConnections();
  await app.close();
  await closed;
}

async function readToken(file: string): Promise<string> {
  const token = (await readFile(file, 'utf8')).trim();
  if (token.length >= 16) return token;
  throw new FitdocError('CONFIG_INVALID', `The token in ${file} is shorter than 16 characters.`, {
    hint: `Make one with: openssl rand -hex 32 > ${file}`,
  });
}

function asListenError(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') return error;
  return new FitdocError('CONFIG_INVALID', `The API cannot be served: ${message}.`, {
    cause: error,
    hint: 'Choose another daemon.socket or daemon.listen.',
  });
}
