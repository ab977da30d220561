import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  throwIfAborted,
  type CallOptions,
  type Progress,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { fileBacked } from '../postcopy/probe.js';
import type { Connected, QmpClient } from '../qmp/client.js';
import { isMigrating, migrationState } from '../session/release.js';
import { readCapabilities } from '../session/settings.js';
import { qemuStream, type QemuStreamOptions } from '../stream/write.js';
import { withCapabilities } from './capabilities.js';
import { cannotLoad } from './failures.js';
import type { KeptStream } from './kept-stream.js';
import type { RestoreConfig } from './options.js';
import { mainRam } from './ram-file.js';
import type { Shared } from './shared.js';
import { connectIncoming, startIncoming } from './socket.js';

/** How long QEMU is left alone while it has not let go of the stream, milliseconds. */
const QUIET_MS = 50;

/**
 * Has QEMU load all of a checkpoint, but what is in its file of memory, before the guest runs. Sends the shared
 * stream where there is one.
 */
export async function loadFully(
  { client, version }: Connected,
  source: RestoreSource,
  config: RestoreConfig,
  options: CallOptions,
  shared: Shared,
): Promise<Omit<RestoreReport, 'notes'>> {
  const { signal } = options;
  const found = await (shared.capabilities ??= readCapabilities(client, signal));
  return withCapabilities(client, [], found, async () => {
    const how = await streamOptions(client, source, config, signal);
    const stream = await shared.stream;
    const listen = startIncoming(version);
    const socket = await connectIncoming(client, listen, config.socketDirectory, signal);
    try {
      const pages = await (stream
        ? sendKept(socket, stream, options)
        : sendStream(socket, source, how, options));
      return { pages, state: await finished(client, letGo(socket), signal) };
    } finally {
      socket.destroy();
    }
  });
}

async function streamOptions(
  qmp: QmpClient,
  source: RestoreSource,
  { ramFile }: RestoreConfig,
  signal: AbortSignal | undefined,
): Promise<QemuStreamOptions> {
  if (ramFile !== undefined) return { without: mainRam(source) };
  // What is in a file of memory would stay where the checkpoint has zeros.
  return { everyPage: (await fileBacked(qmp, signal)) !== undefined };
}

async function sendKept(
  socket: Socket,
  { chunks, pages }: KeptStream,
  { signal, onProgress }: CallOptions,
): Promise<number> {
  await send(socket, chunks, signal);
  onProgress?.({ phase: 'writing pages', done: pages, total: pages, unit: 'pages' });
  return pages;
}

async function sendStream(
  socket: Socket,
  source: RestoreSource,
  how: QemuStreamOptions,
  { signal, onProgress: tell }: CallOptions,
): Promise<number> {
  let pages = 0;
  const onProgress = (progress: Progress): void => {
    pages = progress.done;
    tell?.(progress);
  };
  await send(socket, qemuStream(source, { ...how, onProgress, ...(signal && { signal }) }), signal);
  return pages;
}

async function send(
  socket: Socket,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let broken: Error | undefined;
  let wake: (() => void) | undefined;
  // A QEMU that stands reads nothing: an abort must not wait for it.
  const onAbort = (): void => wake?.();
  signal?.addEventListener('abort', onAbort, { once: true });
  socket.on('error', (error) => (broken = error));
  socket.on('drain', () => wake?.());
  socket.on('close', () => {
    broken ??= new Error('QEMU closed the stream');
    wake?.();
  });
  for await (const chunk of chunks) {
    throwIfAborted(signal);
    if (broken === undefined && !socket.write(chunk)) await new Promise<void>((resolve) => (wake = resolve));
    throwIfAborted(signal);
    if (broken !== undefined) throw broken;
  }
  await new Promise<void>((resolve) => {
    wake = resolve;
    socket.end(resolve);
    if (signal?.aborted === true) resolve();
  });
  throwIfAborted(signal);
  signal?.removeEventListener('abort', onAbort);
}

/** Settles when QEMU closes its end of the stream, which it does last of all. */
async function letGo(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  // Nothing comes from there but its end, which is only seen by who reads.
  socket.resume();
  await new Promise<void>((resolve) => void socket.once('close', () => resolve()));
}

/** Waits until QEMU has loaded everything; a QEMU that cannot load ends itself. */
async function finished(
  qmp: QmpClient,
  over: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<'running' | 'paused'> {
  await Promise.race([over, sleep(QUIET_MS, undefined, { ref: false })]);
  for (;;) {
    const state = await migrationState(qmp, signal);
    if (state.migration === 'failed') throw await cannotLoad(qmp, state.errorText);
    if (!isMigrating(state) && state.guest !== 'inmigrate')
      return state.guest === 'running' ? 'running' : 'paused';
    await sleep(5);
  }
}
