import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FitdocError, isFitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { makeSocketFolder } from '../session/socket-folder.js';
import { isOurs, serverSign } from './names.js';

/** Where no socket can be made: QEMU refuses to serve there, but says first whether it serves already. */
const NOWHERE = '/dev/null/fitdoc.sock';

interface Export {
  readonly id: string;
  readonly type: string;
}

/** QEMU's NBD server, of which it has one, while it serves disks to us. */
export class DiskServer {
  private folder: string | undefined;
  /** Whether the server that runs is one that we started. */
  private serving = false;

  constructor(
    private readonly qmp: QmpClient,
    private readonly socketDirectory: string | undefined,
    private readonly attachment: string,
  ) {}

  /** Has QEMU serve, if it does not; gives the socket. Errors: MACHINE_BUSY (it serves someone else), PROTOCOL_ERROR. */
  async start(): Promise<string> {
    const folder = (this.folder ??= await makeSocketFolder(this.socketDirectory));
    const path = join(folder, 'disks.sock');
    if (await startAt(this.qmp, path)) await this.sign();
    // QEMU takes the socket away with the server: one that runs without it is another.
    else if (!this.serving || !existsSync(path)) {
      await this.unsign();
      throw await servesOthers(this.qmp);
    }
    return path;
  }

  /** A sweep has ended it. */
  swept(): void {
    this.serving = false;
  }

  /** Removes the socket of a server that has ended. */
  async close(): Promise<void> {
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true });
    this.folder = undefined;
  }

  /** Of a server QEMU tells nothing: a node tells whoever comes after us that it is ours. */
  private async sign(): Promise<void> {
    // It is there when someone ended a server of ours.
    if (this.serving) return;
    const node = { driver: 'null-co', 'node-name': serverSign(this.attachment) };
    await this.qmp.execute('blockdev-add', node).catch(async (error: unknown) => {
      await this.qmp.execute('nbd-server-stop').catch(() => undefined);
      throw error;
    });
    this.serving = true;
  }

  private async unsign(): Promise<void> {
    if (!this.serving) return;
    this.serving = false;
    await this.qmp.execute('blockdev-del', { 'node-name': serverSign(this.attachment) });
  }
}

/** MACHINE_BUSY where QEMU serves disks already: it has one server, and to take it would end someone else's. */
export async function assertServesNobody(qmp: QmpClient): Promise<void> {
  try {
    if (await startAt(qmp, NOWHERE)) return;
  } catch (error) {
    if (isFitdocError(error, 'PROTOCOL_ERROR') && error.details['description'] !== undefined) return;
    throw error;
  }
  throw await servesOthers(qmp);
}

/**
 * Ends a server of ours, by its sign, unless somebody serves with it. Gives whether it was. Both are said at once:
 * a sign without a server would be taken for that of the next.
 */
export async function endServer(qmp: QmpClient, nodes: readonly string[]): Promise<boolean> {
  const signs = nodes.filter((name) => isOurs(name, 'srv'));
  if (signs.length === 0 || (await foreignExports(qmp)).length > 0) return false;
  await Promise.allSettled([
    ...signs.map((name) => qmp.execute('blockdev-del', { 'node-name': name })),
    qmp.execute('nbd-server-stop'),
  ]);
  return true;
}

/** False where QEMU serves already, at whatever socket. */
async function startAt(qmp: QmpClient, path: string): Promise<boolean> {
  try {
    const addr = { type: 'unix', data: { path } };
    await qmp.execute('nbd-server-start', { addr, 'max-connections': 0 });
    return true;
  } catch (error) {
    if (isFitdocError(error, 'PROTOCOL_ERROR') && /already running/.test(error.message)) return false;
    throw error;
  }
}

async function foreignExports(qmp: QmpClient): Promise<string[]> {
  const exports = await qmp.execute<readonly Export[]>('query-block-exports');
  return exports.filter(({ id, type }) => type === 'nbd' && !isOurs(id)).map(({ id }) => id);
}

async function servesOthers(qmp: QmpClient): Promise<FitdocError> {
  const exports = await foreignExports(qmp);
  const what = exports.length > 0 ? exports.join(', ') : 'no export yet';
  return new FitdocError('MACHINE_BUSY', `Someone else serves disks of this QEMU over NBD (${what}).`, {
    hint: 'QEMU has one NBD server: end it (nbd-server-stop) when it is not needed, or attach with disks "external".',
    retryable: true,
    details: { exports },
  });
}
