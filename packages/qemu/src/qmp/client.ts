import { setMaxListeners } from 'node:events';
import { abortError, FitdocError, throwIfAborted, type Json } from '@fitdoc/interface';
import type { QmpEvent, QmpReply, QmpTransport } from './transport.js';

/** What QEMU says of itself when a client connects. */
export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
  readonly text: string;
}

/** A client, and what QEMU said of itself. */
export interface Connected {
  readonly client: QmpClient;
  readonly version: QemuVersion;
}

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long a command may go unanswered. */
  readonly timeoutMs?: number;
  /** Ask for commands out of band, which QEMU answers even while its main loop stands. */
  readonly outOfBand?: boolean;
}

export interface ExecuteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: the client's. */
  readonly timeoutMs?: number;
  /** Has QEMU answer even while its main loop stands. Only some commands can; see `outOfBand` of the client. */
  readonly outOfBand?: boolean;
  /** A descriptor to hand over with the command; it stays open here. Needs a unix socket all the way to QEMU. */
  readonly descriptor?: number;
}

interface Pending {
  readonly command: string;
  resolve(value: Json): void;
  reject(error: FitdocError): void;
}

/** How long a command may go unanswered before that is a silence, milliseconds. */
export const SILENCE_MS = 300;

/** A client of QEMU's machine protocol, whatever carries it. */
export class QmpClient {
  /** Aborted with a FitdocError (MACHINE_GONE) when the connection ends, by whichever side. */
  readonly closed: AbortSignal;
  /** Called again and again while a command goes unanswered: QEMU's main loop stands, or is busy. */
  onSilence: (() => void) | undefined;
  private readonly ending = new AbortController();
  private readonly pending = new Map<number, Pending>();
  private readonly listeners = new Set<(event: QmpEvent) => void>();
  private nextId = 1;

  constructor(
    private readonly transport: QmpTransport,
    private readonly timeoutMs = 30_000,
  ) {
    this.closed = this.ending.signal;
    transport.begin({
      reply: (id, reply) => this.settle(id, reply),
      event: (event) => this.emit(event),
      end: (cause) => this.end(cause),
    });
  }

  /** Where QEMU is, for people. */
  get location(): string {
    return this.transport.location;
  }

  /** Whether commands can be sent out of band: asked for when this client connected, and QEMU has it. */
  get outOfBand(): boolean {
    return this.transport.outOfBand;
  }

  /**
   * Runs one command and gives what it returned. Errors: PROTOCOL_ERROR with QEMU's class and words in
   * `details` when QEMU refuses or does not answer in time, MACHINE_GONE when the connection ends.
   */
  async execute<Result = Json>(
    command: string,
    args: Readonly<Record<string, Json>> = {},
    { signal, timeoutMs = this.timeoutMs, descriptor, outOfBand = false }: ExecuteOptions = {},
  ): Promise<Result> {
    throwIfAborted(signal);
    throwIfAborted(this.closed);
    const id = this.nextId++;
    return new Promise<Json>((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        clearInterval(silence);
        signal?.removeEventListener('abort', onAbort);
        this.pending.delete(id);
      };
      const fail = (error: FitdocError): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => fail(abortError(signal!));
      const timer = setTimeout(() => fail(noAnswer(command, timeoutMs)), timeoutMs);
      const silence = setInterval(() => this.onSilence?.(), SILENCE_MS);
      // Many commands may be under way at a time: that is no leak, and the process need not warn of one.
      if (signal !== undefined) setMaxListeners(0, signal);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.pending.set(id, {
        command,
        reject: fail,
        resolve: (value) => {
          finish();
          resolve(value);
        },
      });
      const wanted = (): boolean => this.pending.has(id);
      const request = { id, command, arguments: args, outOfBand, descriptor, wanted };
      this.transport.send(request).catch(fail);
    }) as Promise<Result>;
  }

  /** Calls `listener` for each event until the returned function is called. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Of the connection to QEMU; undefined when it is over, and where there is none of ours. */
  get descriptor(): number | undefined {
    return this.transport.descriptor;
  }

  close(): void {
    this.end();
    this.transport.close();
  }

  private emit(event: QmpEvent): void {
    for (const listener of [...this.listeners]) listener(event);
  }

  private settle(id: number, { error, return: value = {} }: QmpReply): void {
    const pending = this.pending.get(id);
    if (error === undefined) pending?.resolve(value);
    else pending?.reject(refused(pending.command, error));
  }

  private end(cause?: unknown): void {
    if (this.closed.aborted) return;
    const error = cause instanceof FitdocError ? cause : ended(this.location, cause);
    this.ending.abort(error);
    for (const pending of [...this.pending.values()]) pending.reject(error);
  }
}

function ended(location: string, cause: unknown): FitdocError {
  return new FitdocError('MACHINE_GONE', `The connection to QEMU at ${location} has ended.`, {
    cause,
    hint: 'QEMU has exited or was killed; start the guest again and attach anew.',
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
