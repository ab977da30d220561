import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  throwIfAborted,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { recordedFeatures } from '../machine/cpu-flags.js';
import { describe } from '../machine/describe.js';
import { fileBacked, probe, type Probed } from '../postcopy/probe.js';
import { loadLazily } from '../postcopy/restore.js';
import type { Door } from '../door.js';
import type { QmpClient } from '../qmp/client.js';
import { isMigrating, migrationState } from '../session/release.js';
import { readDrives } from '../machine/disks.js';
import { writeQemuStream } from '../stream/write.js';
import { withCapabilities } from './capabilities.js';
import { sameVersion } from './check-devices.js';
import { checkDisks } from './check-disks.js';
import { checkTarget, knownTypes, readBlocks } from './check.js';
import { cannotLoad, failure, notLazily, notWaiting, whyBroken } from './failures.js';
import { diskNotes, guestNotes } from './notes.js';
import type { RestoreConfig } from './options.js';
import { checkRamFile, mainRam } from './ram-file.js';
import { connectIncoming, startIncoming } from './socket.js';
import { thawOf } from './thaw.js';

/** Restores into a QEMU that was started with `-incoming defer`, through its QMP. */
export async function restoreIncoming(
  door: Door,
  location: string,
  source: RestoreSource,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { signal } = options;
  const { client, version } = await door.connect(location, { signal, outOfBand: true });
  try {
    const { guest } = await migrationState(client, signal);
    if (guest !== 'inmigrate') throw notWaiting(guest);
    const [target, blocks] = await Promise.all([
      describe(client, version, recordedFeatures(source.info.platform), signal),
      readBlocks(client, signal),
    ]);
    const other = !sameVersion(version.text, source.info.platform['qemuVersion']);
    const types = other ? await knownTypes(client, source.info, target, signal) : undefined;
    const differing = checkTarget(source.info, { ...target, blocks, types });
    if (source.disks && source.disks.length > 0)
      await checkDisks(source.disks, (await readDrives(client, signal)).disks, config.disks);
    if (config.ramFile !== undefined) await checkRamFile(client, config.ramFile, mainRam(source));
    const thaw = await thawOf(client, door, source.deviceState, signal);
    const onRunning = (state: 'running' | 'paused'): void => {
      thaw.begin(state);
      options.onRunning?.(state);
    };
    const probed = await lazily(client, source, config, options);
    const loaded =
      probed !== undefined && 'blocks' in probed
        ? await loadLazily(client, source, probed, config, { ...options, onRunning })
        : await loadFully(client, source, config, options);
    thaw.begin(loaded.state);
    const { uuid } = target;
    const generationId = await hasGenerationId(client);
    const notes = [
      ...(probed !== undefined && 'reason' in probed ? [notLazy(probed.reason)] : []),
      ...differing,
      ...diskNotes(source.info, source.disks),
      ...guestNotes(source.info, { uuid, generationId }),
      ...(await thaw.notes()),
    ];
    return { ...loaded, notes };
  } catch (error) {
    throw failure(await whyBroken(error, client), client, signal);
  } finally {
    client.close();
  }
}

/** Whether the guest can and may run before its memory is there, where that is wanted. MACHINE_INCOMPATIBLE. */
async function lazily(
  qmp: QmpClient,
  source: RestoreSource,
  { lazy, ramFile }: RestoreConfig,
  { signal, beforeLazy }: RestoreOptions,
): Promise<Probed | undefined> {
  if (lazy === false || ramFile !== undefined) return undefined;
  const probed = await probe(qmp, source, signal);
  const reason = 'reason' in probed ? probed.reason : await beforeLazy?.();
  if (reason === undefined) return probed;
  if (lazy === true) throw notLazily(reason);
  return { reason };
}

function notLazy(reason: string): string {
  return `All of the memory was loaded before the guest ran: ${reason}.`;
}

async function loadFully(
  qmp: QmpClient,
  source: RestoreSource,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<Omit<RestoreReport, 'notes'>> {
  return withCapabilities(qmp, [], options.signal, async () => ({
    pages: await load(qmp, source, config, options),
    state: await finished(qmp, options.signal),
  }));
}

async function hasGenerationId(qmp: QmpClient): Promise<boolean> {
  return qmp.execute('query-vm-generation-id').then(
    () => true,
    () => false,
  );
}

async function load(
  qmp: QmpClient,
  source: RestoreSource,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<number> {
  // What is in a file of memory would stay where the checkpoint has zeros.
  const everyPage = (await fileBacked(qmp, options.signal)) !== undefined;
  const socket = await connectIncoming(qmp, startIncoming, config.socketDirectory, options.signal);
  try {
    return await send(socket, source, { ...config, everyPage }, options);
  } finally {
    socket.destroy();
  }
}

async function send(
  socket: Socket,
  source: RestoreSource,
  { ramFile, everyPage }: RestoreConfig & { readonly everyPage: boolean },
  { signal, onProgress }: RestoreOptions,
): Promise<number> {
  let broken: Error | undefined;
  let wake: (() => void) | undefined;
  let pages = 0;
  // A QEMU that stands reads nothing: an abort must not wait for it.
  const onAbort = (): void => wake?.();
  signal?.addEventListener('abort', onAbort, { once: true });
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
      ...(ramFile === undefined ? { everyPage } : { without: mainRam(source) }),
      onProgress: (progress) => {
        pages = progress.done;
        onProgress?.(progress);
      },
    },
  );
  await new Promise<void>((resolve) => {
    wake = resolve;
    socket.end(resolve);
    if (signal?.aborted === true) resolve();
  });
  throwIfAborted(signal);
  signal?.removeEventListener('abort', onAbort);
  return pages;
}

/** Waits until QEMU has loaded everything; a QEMU that cannot load ends itself. */
async function finished(qmp: QmpClient, signal: AbortSignal | undefined): Promise<'running' | 'paused'> {
  for (;;) {
    const state = await migrationState(qmp, signal);
    if (state.migration === 'failed') throw await cannotLoad(qmp, state.errorText);
    if (!isMigrating(state) && state.guest !== 'inmigrate')
      return state.guest === 'running' ? 'running' : 'paused';
    await sleep(5);
  }
}
