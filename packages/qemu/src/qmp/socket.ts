import { connect, type Socket } from 'node:net';
import {
  abortError,
  FitdocError,
  throwIfAborted,
  type ErrorCode,
  type FitdocErrorOptions,
  type Json,
} from '@fitdoc/interface';
import { QmpClient, type Connected, type ConnectOptions, type QemuVersion } from './client.js';
import { writeWithDescriptor } from './descriptor.js';
import { reachable } from './socket-path.js';
import type { QmpListener, QmpRequest, QmpTransport } from './transport.js';
import { descriptorOf, writingEnd } from './writing-end.js';

/** Why there is, or is no longer, a QEMU at the other end: the last line of a program that stands before one. */
export interface EndOfQmp {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly retryable?: boolean;
  readonly details?: Readonly<Record<string, Json>>;
}

type Message = {
  end?: EndOfQmp;
  QMP?: {
    version: { qemu: { major: number; minor: number; micro: number } };
    capabilities?: readonly string[];
  };
  event?: string;
  data?: Record<string, Json>;
  timestamp?: { seconds: number; microseconds: number };
  id?: number;
  return?: Json;
  error?: { class: string; desc: string };
};

/**
 * Connects to a QMP socket, awaits the greeting and enters command mode. QEMU serves one client a socket at a time, so
 * a connection also means that no one else commands the machine through that socket.
 * Errors: MACHINE_NOT_FOUND (no one listens there), MACHINE_BUSY (another client has the socket),
 * PROTOCOL_ERROR (something other than QEMU answers).
 */
export async function connectSocket(
  path: string,
  options: ConnectOptions & { greetingMs?: number } = {},
): Promise<Connected> {
  throwIfAborted(options.signal);
  return connectStream(await open(path, options.signal), path, options);
}

/**
 * Enters command mode over a connected unix socket, of QEMU or of a program that stands before one, which may end with a
 * line `{"end": EndOfQmp}`. `location`: for people. Errors: as of `connectSocket`, and what such a line says.
 */
export async function connectStream(
  socket: Socket,
  location: string,
  {
    signal,
    timeoutMs = 30_000,
    greetingMs = 5000,
    outOfBand = false,
  }: ConnectOptions & { greetingMs?: number } = {},
): Promise<Connected> {
  // Until the transport listens, an error shows in that the socket is destroyed.
  socket.on('error', () => undefined);
  const transport = new SocketTransport(socket, await writingEnd(socket), location);
  const client = new QmpClient(transport, timeoutMs);
  try {
    const { version, offered } = await transport.greeting(client.closed, greetingMs, signal);
    const enabled = outOfBand && offered.includes('oob');
    await client.execute('qmp_capabilities', enabled ? { enable: ['oob'] } : {}, { signal });
    transport.outOfBand = enabled;
    return { client, version };
  } catch (error) {
    client.close();
    throw error;
  }
}

interface Greeting {
  readonly version: QemuVersion;
  readonly offered: readonly string[];
}

class SocketTransport implements QmpTransport {
  outOfBand = false;
  private listener: QmpListener | undefined;
  private text = '';
  /** What the last line said. */
  private told: FitdocError | undefined;
  private greeted: ((greeting: Greeting) => void) | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly writer: Socket,
    readonly location: string,
  ) {}

  get descriptor(): number | undefined {
    return descriptorOf(this.socket);
  }

  begin(listener: QmpListener): void {
    this.listener = listener;
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text: string) => this.receive(text));
    this.socket.on('error', (cause) => listener.end(cause));
    this.socket.on('close', () => {
      this.writer.destroy();
      listener.end(this.told);
    });
    if (this.socket.destroyed) listener.end();
  }

  async send({ id, command, arguments: args, outOfBand, descriptor, wanted }: QmpRequest): Promise<void> {
    const how = outOfBand && this.outOfBand ? 'exec-oob' : 'execute';
    // QEMU reads its monitor a byte at a time: what it can do without is left out.
    const given = Object.keys(args).length > 0 ? { arguments: args } : {};
    const text = `${JSON.stringify({ [how]: command, ...given, id })}\n`;
    if (descriptor === undefined) this.writer.write(text);
    else await writeWithDescriptor(this.writer, text, descriptor, wanted);
  }

  close(): void {
    this.socket.destroy();
    this.writer.destroy();
  }

  async greeting(
    closed: AbortSignal,
    greetingMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Greeting> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        closed.removeEventListener('abort', onClose);
      };
      const fail = (error: Error): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => fail(abortError(signal!));
      const onClose = (): void => fail(this.told ?? foreign(this.location));
      const timer = setTimeout(() => fail(busy(this.location)), greetingMs);
      if (closed.aborted) return onClose();
      signal?.addEventListener('abort', onAbort, { once: true });
      closed.addEventListener('abort', onClose, { once: true });
      this.greeted = (greeting) => {
        finish();
        resolve(greeting);
      };
    });
  }

  private receive(text: string): void {
    this.text += text;
    for (let end = this.text.indexOf('\n'); end >= 0; end = this.text.indexOf('\n')) {
      const line = this.text.slice(0, end).trim();
      this.text = this.text.slice(end + 1);
      if (line !== '') this.dispatch(line);
    }
  }

  private dispatch(line: string): void {
    let message: Message;
    try {
      message = JSON.parse(line) as Message;
    } catch (cause) {
      this.socket.destroy();
      this.listener?.end(cause);
      return;
    }
    const { QMP: greeting, end, event, data = {}, timestamp, id } = message;
    if (greeting !== undefined)
      this.greeted?.({
        version: versionOf(greeting.version.qemu),
        offered: greeting.capabilities ?? [],
      });
    else if (end !== undefined) {
      this.told = new FitdocError(end.code, end.message, optionsOf(end));
      this.listener?.end(this.told);
      this.socket.destroy();
    } else if (event !== undefined) this.listener?.event({ name: event, data, atMs: timeOf(timestamp) });
    else if (id !== undefined) this.listener?.reply(id, message);
  }
}

function optionsOf({ hint, retryable, details }: EndOfQmp): FitdocErrorOptions {
  return {
    ...(hint !== undefined && { hint }),
    ...(retryable !== undefined && { retryable }),
    ...(details !== undefined && { details }),
  };
}

function timeOf(timestamp: Message['timestamp']): number {
  return timestamp === undefined ? Date.now() : timestamp.seconds * 1000 + timestamp.microseconds / 1000;
}
async function open(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  const short = await reachable(path).catch((cause: unknown) => {
    throw notFound(path, cause);
  });
  return connected(path, short.path, signal).finally(() => short.release());
}

async function connected(path: string, through: string, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: through });
    const onAbort = (): void => {
      socket.destroy();
      reject(abortError(signal!));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const finish = (): void => signal?.removeEventListener('abort', onAbort);
    socket.once('connect', () => {
      finish();
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (cause) => {
      finish();
      reject(notFound(path, cause));
    });
  });
}

function versionOf({ major, minor, micro }: { major: number; minor: number; micro: number }): QemuVersion {
  return { major, minor, micro, text: `${major}.${minor}.${micro}` };
}

function notFound(path: string, cause: unknown): FitdocError {
  return new FitdocError('MACHINE_NOT_FOUND', `No QEMU answers at ${path}.`, {
    cause,
    hint: 'Start QEMU with "-qmp unix:PATH,server=on,wait=off" and name that PATH; check who may open it.',
  });
}

function busy(path: string): FitdocError {
  return new FitdocError(
    'MACHINE_BUSY',
    `QEMU at ${path} gave no greeting: another client has this QMP socket.`,
    {
      hint: 'End the other client, or give QEMU a second -qmp socket for fitdoc.',
      retryable: true,
    },
  );
}

function foreign(path: string): FitdocError {
  return new FitdocError('PROTOCOL_ERROR', `What listens at ${path} does not speak QMP.`, {
    hint: 'Name the socket of a "-qmp" option, not of a serial console or the human monitor.',
  });
}
