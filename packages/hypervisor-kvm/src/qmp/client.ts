import { connect, type Socket } from 'node:net';
import { abortError, FitdocError, throwIfAborted, type Json } from '@fitdoc/interface';

/** What QEMU says of itself when a client connects. */
export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
  readonly text: string;
}

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, Json>>;
  /** By QEMU's clock, milliseconds since 1970 with microseconds as the fraction. */
  readonly atMs: number;
}

export interface ExecuteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: the client's. */
  readonly timeoutMs?: number;
}

interface Pending {
  readonly command: string;
  resolve(value: Json): void;
  reject(error: FitdocError): void;
}

type Reply = {
  QMP?: { version: { qemu: { major: number; minor: number; micro: number } } };
  event?: string;
  data?: Record<string, Json>;
  timestamp?: { seconds: number; microseconds: number };
  id?: number;
  return?: Json;
  error?: { class: string; desc: string };
};

/**
 * A client of QEMU's machine protocol over a unix socket. QEMU serves one client a socket at a time, so a
 * connection also means that no one else commands the machine through that socket.
 */
export class QmpClient {
  /** Aborted with a FitdocError (MACHINE_GONE) when the connection ends, by whichever side. */
  readonly closed: AbortSignal;
  private readonly ending = new AbortController();
  private readonly pending = new Map<number, Pending>();
  private readonly listeners = new Set<(event: QmpEvent) => void>();
  private nextId = 1;
  private text = '';
  private greeted: ((version: QemuVersion) => void) | undefined;

  private constructor(
    private readonly socket: Socket,
    readonly path: string,
    private readonly timeoutMs: number,
  ) {
    this.closed = this.ending.signal;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.receive(text));
    socket.on('error', (cause) => this.end(cause));
    socket.on('close', () => this.end());
  }

  /**
   * Connects, awaits the greeting and enters command mode.
   * Errors: MACHINE_NOT_FOUND (no one listens there), MACHINE_BUSY (another client has the socket),
   * PROTOCOL_ERROR (something other than QEMU answers).
   */
  static async connect(
    path: string,
    { signal, timeoutMs = 30_000, greetingMs = 5000 }: ExecuteOptions & { greetingMs?: number } = {},
  ): Promise<{ client: QmpClient; version: QemuVersion }> {
    throwIfAborted(signal);
    const socket = await open(path, signal);
    const client = new QmpClient(socket, path, timeoutMs);
    try {
      const version = await client.greeting(greetingMs, signal);
      await client.execute('qmp_capabilities', {}, { signal });
      return { client, version };
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * Runs one command and gives what it returned. Errors: PROTOCOL_ERROR with QEMU's class and words in
   * `details` when QEMU refuses or does not answer in time, MACHINE_GONE when the connection ends.
   */
  async execute<Result = Json>(
    command: string,
    args: Readonly<Record<string, Json>> = {},
    { signal, timeoutMs = this.timeoutMs }: ExecuteOptions = {},
  ): Promise<Result> {
    throwIfAborted(signal);
    throwIfAborted(this.closed);
    const id = this.nextId++;
    return new Promise<Json>((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.pending.delete(id);
      };
      const fail = (error: FitdocError): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => fail(abortError(signal!));
      const timer = setTimeout(() => fail(noAnswer(command, timeoutMs)), timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.pending.set(id, {
        command,
        reject: fail,
        resolve: (value) => {
          finish();
          resolve(value);
        },
      });
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\r\n`);
    }) as Promise<Result>;
  }

  /** Calls `listener` for each event until the returned function is called. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.end();
    this.socket.destroy();
  }

  private async greeting(greetingMs: number, signal: AbortSignal | undefined): Promise<QemuVersion> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.closed.removeEventListener('abort', onClose);
      };
      const fail = (error: Error): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => fail(abortError(signal!));
      const onClose = (): void => fail(foreign(this.path));
      const timer = setTimeout(() => fail(busy(this.path)), greetingMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.closed.addEventListener('abort', onClose, { once: true });
      this.greeted = (version) => {
        finish();
        resolve(version);
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
    let message: Reply;
    try {
      message = JSON.parse(line) as Reply;
    } catch (cause) {
      this.socket.destroy();
      this.end(cause);
      return;
    }
    if (message.QMP !== undefined) this.greeted?.(versionOf(message.QMP.version.qemu));
    else if (message.event !== undefined) this.emit(message.event, message);
    else this.settle(message);
  }

  private emit(name: string, { data = {}, timestamp }: Reply): void {
    const atMs =
      timestamp === undefined ? Date.now() : timestamp.seconds * 1000 + timestamp.microseconds / 1000;
    for (const listener of [...this.listeners]) listener({ name, data, atMs });
  }

  private settle(message: Reply): void {
    const pending = message.id === undefined ? undefined : this.pending.get(message.id);
    if (pending === undefined) return;
    if (message.error === undefined) pending.resolve(message.return ?? {});
    else pending.reject(refused(pending.command, message.error));
  }

  private end(cause?: unknown): void {
    if (this.closed.aborted) return;
    const error = new FitdocError('MACHINE_GONE', `The connection to QEMU at ${this.path} has ended.`, {
      cause,
      hint: 'QEMU has exited or was killed; start the guest again and attach anew.',
    });
    this.ending.abort(error);
    for (const pending of [...this.pending.values()]) pending.reject(error);
  }
}

async function open(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
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

function noAnswer(command: string, timeoutMs: number): FitdocError {
  return new FitdocError('PROTOCOL_ERROR', `QEMU did not answer ${command} within ${timeoutMs} ms.`, {
    hint: 'The host may be overloaded or QEMU stuck; look at its log.',
    retryable: true,
    details: { command },
  });
}

function refused(command: string, error: { class: string; desc: string }): FitdocError {
  return new FitdocError('PROTOCOL_ERROR', `QEMU refused ${command}: ${error.desc}`, {
    hint: "The message is QEMU's own; its documentation of the command says more.",
    details: { command, class: error.class, description: error.desc },
  });
}
