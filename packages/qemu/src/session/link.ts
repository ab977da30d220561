import { rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFitdocError, throwIfAborted } from '@fitdoc/interface';
import { bindSockets } from '../native/binding.js';
import { patientCopy, socketPair } from '../native/sockets.js';
import type { QmpClient } from '../qmp/client.js';
import { descriptorOf } from '../qmp/writing-end.js';
import { makeSocketFolder } from './socket-folder.js';

/** How QEMU's stream comes to us. */
export interface StreamWay {
  /** `descriptor`: through a pair of sockets of ours, one of which QEMU was given; `path`: it connects to our socket. */
  readonly through: 'descriptor' | 'path';
  /** Bytes that QEMU can write while nobody reads. */
  readonly bufferBytes: number;
}

/** A connection that QEMU migrates into. */
export interface Link {
  readonly way: StreamWay;
  /** For QEMU's `migrate`. */
  readonly uri: string;
  /** Our end's descriptor, which is then the caller's, or undefined when `over` said yes before QEMU connected. */
  socket(over: () => Promise<boolean>): Promise<number | undefined>;
  /** Says that QEMU refused to migrate into it. */
  refused(): Promise<void>;
  /** Ends what the link holds beside that descriptor. */
  close(): Promise<void>;
}

/** Less than this holds few checkpoints: QEMU then waits for the reader thread while the guest stands. */
const ENOUGH_BYTES = 16 << 20;

/** What is worth saying of a way: nothing of the usual one. One sentence each. */
export function limitsOf({ through, bufferBytes }: StreamWay): string[] {
  const held = `${Math.round(bufferBytes / 1024)} KiB`;
  if (through === 'path')
    return [
      `QEMU could not be given a descriptor (getfd): a checkpoint beyond ${held} is read within the pause.`,
    ];
  if (bufferBytes >= ENOUGH_BYTES) return [];
  return [
    `The kernel holds ${held} of a checkpoint (net.core.wmem_max, or CAP_NET_ADMIN, sets it): more is read within the pause.`,
  ];
}

/** What a unix socket holds by default that QEMU makes by itself, about. */
const PATH_BUFFER_BYTES = 128 << 10;

let links = 0;

/**
 * Opens a link: a pair of sockets, whose buffer is ours to choose, so that QEMU need not wait for anybody; it works
 * whoever QEMU runs as. Where descriptors do not come through (a proxy before the monitor), a socket that QEMU
 * connects to.
 */
export async function openLink(
  qmp: QmpClient,
  { bufferBytes, socketDirectory }: { bufferBytes: number; socketDirectory: string | undefined },
  signal: AbortSignal,
): Promise<Link> {
  try {
    return await pairLink(qmp, bufferBytes, signal);
  } catch (error) {
    throwIfAborted(signal);
    throwIfAborted(qmp.closed);
    // QEMU's own refusal names its class; anything else is our failure.
    if (!isFitdocError(error, 'PROTOCOL_ERROR')) throw error;
    return pathLink(socketDirectory);
  }
}

async function pairLink(qmp: QmpClient, bufferBytes: number, signal: AbortSignal): Promise<Link> {
  const calls = await bindSockets();
  const pair = socketPair(calls, bufferBytes);
  // A name that QEMU knows already would be given the new descriptor while the old one is in use.
  const name = `fitdoc-${process.pid}-${++links}`;
  let ours: number | undefined = pair.ours;
  try {
    await qmp.execute('getfd', { fdname: name }, { signal, descriptor: pair.theirs });
  } catch (error) {
    calls.close(pair.ours);
    throw error;
  } finally {
    // QEMU has its own by now; the stream must end when QEMU does.
    calls.close(pair.theirs);
  }
  return {
    way: { through: 'descriptor', bufferBytes: pair.bufferBytes },
    uri: `fd:${name}`,
    socket: async () => {
      const taken = ours;
      ours = undefined;
      return taken;
    },
    // QEMU keeps a descriptor that no command took until it is told.
    refused: async () => {
      await qmp.execute('closefd', { fdname: name }).catch(() => undefined);
    },
    close: async () => {
      if (ours !== undefined) calls.close(ours);
      ours = undefined;
    },
  };
}

async function pathLink(parent?: string): Promise<Link> {
  const calls = await bindSockets();
  const directory = await makeSocketFolder(parent);
  const path = join(directory, 'stream.sock');
  let accepted: Socket | undefined;
  const server = createServer({ pauseOnConnect: true });
  server.on('connection', (socket) => {
    if (accepted === undefined) accepted = socket;
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  const close = async (): Promise<void> => {
    accepted?.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await rm(directory, { recursive: true, force: true });
  };
  return {
    way: { through: 'path', bufferBytes: PATH_BUFFER_BYTES },
    uri: `unix:${path}`,
    refused: async () => undefined,
    close,
    socket: async (over) => {
      while (accepted === undefined) {
        if ((await over()) && accepted === undefined) return undefined;
        await sleep(5);
      }
      const ours = patientCopy(calls, descriptorOf(accepted) ?? -1);
      await close();
      return ours;
    },
  };
}
