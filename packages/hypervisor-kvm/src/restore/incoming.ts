import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  abortError,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { describe, property } from '../machine/describe.js';
import { QmpClient } from '../qmp/client.js';
import { isMigrating, migrationState } from '../session/release.js';
import { readSettings, setCapabilities } from '../session/settings.js';
import { writeQemuStream } from '../stream/write.js';
import { checkTarget, readBlocks } from './check.js';
import { diskNotes } from './notes.js';
import type { RestoreConfig } from './options.js';

/** Restores into a QEMU that was started with `-incoming defer`, through its QMP socket. */
export async function restoreIncoming(
  location: string,
  source: RestoreSource,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { signal } = options;
  const { client, version } = await QmpClient.connect(location, { signal });
  try {
    const { guest } = await migrationState(client, signal);
    if (guest !== 'inmigrate') throw notWaiting(guest);
    checkTarget(source.info, await describe(client, version, signal), await readBlocks(client, signal));
    if (config.ramFile !== undefined) await checkRamFile(client, config.ramFile, mainRam(source));
    const { capabilities } = await readSettings(client, signal);
    await setCapabilities(client, capabilities, []);
    const pages = await load(client, source, config, options);
    const state = await finished(client, signal);
    return { state, pages, notes: diskNotes(source.info) };
  } catch (error) {
    throw failure(error, client, signal);
  } finally {
    client.close();
  }
}

async function load(
  qmp: QmpClient,
  source: RestoreSource,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<number> {
  const directory = await mkdtemp(join(config.socketDirectory ?? tmpdir(), 'fitdoc-kvm-'));
  try {
    const path = join(directory, 'incoming.sock');
    await qmp.execute('migrate-incoming', { uri: `unix:${path}` }, { signal: options.signal });
    const socket = await open(path, options.signal);
    try {
      return await send(socket, source, config, options);
    } finally {
      socket.destroy();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function send(
  socket: Socket,
  source: RestoreSource,
  { ramFile }: RestoreConfig,
  { signal, onProgress }: RestoreOptions,
): Promise<number> {
  let broken: Error | undefined;
  let wake: (() => void) | undefined;
  let pages = 0;
  socket.on('error', (error) => (broken = error));
  socket.on('drain', () => wake?.());
  socket.on('close', () => {
    broken ??= new Error('QEMU closed the stream');
    wake?.();
  });
  await writeQemuStream(
    source,
    async (chunk) => {
      if (broken === undefined && !socket.write(chunk))
        await new Promise<void>((resolve) => (wake = resolve));
      throwIfAborted(signal);
      if (broken !== undefined) throw broken;
    },
    {
      ...(signal === undefined ? {} : { signal }),
      ...(ramFile === undefined ? {} : { without: mainRam(source) }),
      onProgress: (progress) => {
        pages = progress.done;
        onProgress?.(progress);
      },
    },
  );
  await new Promise<void>((resolve) => socket.end(resolve));
  return pages;
}

/** Waits until QEMU has loaded everything; a QEMU that cannot load ends itself. */
async function finished(qmp: QmpClient, signal: AbortSignal | undefined): Promise<'running' | 'paused'> {
  for (;;) {
    const state = await migrationState(qmp, signal);
    if (state.migration === 'failed')
      throw new FitdocError(
        'RESTORE_FAILED',
        `QEMU could not load the checkpoint: ${state.errorText ?? 'see its log'}`,
        {
          hint: "QEMU's own messages say which device or section it stumbled over.",
        },
      );
    if (!isMigrating(state) && state.guest !== 'inmigrate')
      return state.guest === 'running' ? 'running' : 'paused';
    await sleep(5);
  }
}

async function open(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  throwIfAborted(signal);
  const socket = connect({ path });
  await once(socket, 'connect', signal === undefined ? {} : { signal });
  return socket;
}

function mainRam({ info }: RestoreSource): string {
  return typeof info.platform['mainRam'] === 'string' ? info.platform['mainRam'] : '';
}

/** The fast path is only safe when main memory is a private mapping of exactly the prepared file. */
async function checkRamFile(qmp: QmpClient, ramFile: string, block: string): Promise<void> {
  const path = `/objects/${block.replace(/^\/objects\//, '')}`;
  const mapped = await property(qmp, path, 'mem-path');
  const shared = await property(qmp, path, 'share');
  if (mapped === ramFile && shared === false) return;
  throw new FitdocError(
    'MACHINE_INCOMPATIBLE',
    `The waiting QEMU does not map ${ramFile} privately as ${block}.`,
    {
      hint: `Start it with -object memory-backend-file,id=${block},mem-path=${ramFile},share=off,size=... -machine memory-backend=${block}.`,
      details: { mapped, shared },
    },
  );
}

function notWaiting(guest: string): FitdocError {
  return new FitdocError(
    'MACHINE_BUSY',
    `This QEMU does not wait for a machine to come in (it is "${guest}").`,
    {
      hint: 'Start a QEMU with the same options and "-incoming defer", and restore into that.',
    },
  );
}

function failure(error: unknown, qmp: QmpClient, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return abortError(signal);
  const gone = qmp.closed.aborted;
  if (!gone && isFitdocError(error) && error.code !== 'PROTOCOL_ERROR') return error;
  return new FitdocError(
    'RESTORE_FAILED',
    gone ? 'QEMU ended while it loaded the checkpoint.' : 'QEMU did not take the checkpoint.',
    {
      cause: error,
      hint: "QEMU's own messages (its standard error or log) say what it stumbled over.",
    },
  );
}
