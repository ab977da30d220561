import type { Socket } from 'node:net';
import { abortError, FitdocError } from '@fitdoc/interface';
import { ReturnPath, type Returned } from './return-path.js';

type Request = Extract<Returned, { kind: 'request' }>;

/** A connection to a QEMU that takes a postcopy in: what it says is sorted into requests, and answers waited for. */
export class Conversation {
  readonly socket: Socket;
  /** Aborted with a FitdocError when the connection has ended, by whomever. */
  readonly ended: AbortSignal;
  /** Gets every request; those that come before it is set are kept for it. */
  #onRequest: ((request: Request) => void) | undefined;
  readonly #early: Request[] = [];
  readonly #heard: Exclude<Returned, Request>[] = [];
  readonly #ending = new AbortController();
  readonly #path = new ReturnPath();
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    this.ended = this.#ending.signal;
    socket.on('data', (chunk) => this.#hear(chunk));
    socket.on('error', (cause) => this.#end(cause));
    socket.on('close', () => this.#end());
  }

  answerWith(onRequest: (request: Request) => void): void {
    this.#onRequest = onRequest;
    for (const request of this.#early.splice(0)) onRequest(request);
  }

  say(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The first message, heard or yet to come, that `is` one; others before it stay. Errors: those of `ended`, ABORTED. */
  async hear<Kind extends Returned>(
    is: (message: Returned) => message is Kind,
    signal: AbortSignal,
  ): Promise<Kind> {
    for (;;) {
      const index = this.#heard.findIndex(is);
      if (index >= 0) return this.#heard.splice(index, 1)[0] as unknown as Kind;
      if (signal.aborted) throw abortError(signal);
      if (this.ended.aborted) throw abortError(this.ended);
      await new Promise<void>((resolve) => {
        const go = (): void => {
          signal.removeEventListener('abort', go);
          resolve();
        };
        this.#wake = go;
        signal.addEventListener('abort', go, { once: true });
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }

  #hear(chunk: Uint8Array): void {
    try {
      for (const message of this.#path.read(chunk)) {
        if (message.kind !== 'request') this.#heard.push(message);
        else if (this.#onRequest) this.#onRequest(message);
        else this.#early.push(message);
      }
    } catch (error) {
      this.#end(error);
      this.socket.destroy();
    }
    this.#wake();
  }

  #end(cause?: unknown): void {
    if (this.ended.aborted) return;
    this.#ending.abort(
      cause instanceof FitdocError
        ? cause
        : new FitdocError('RESTORE_FAILED', 'QEMU closed the connection over which it gets its memory.', {
            cause,
            hint: "QEMU's own messages (its standard error or log) say why.",
          }),
    );
    this.#wake();
  }
}

type Of<Kind extends Returned['kind']> = Extract<Returned, { kind: Kind }>;

export const isShut = (message: Returned): message is Of<'shut'> => message.kind === 'shut';
export const isResumed = (message: Returned): message is Of<'resumed'> => message.kind === 'resumed';

export function isPong(value: number): (message: Returned) => message is Of<'pong'> {
  return (message): message is Of<'pong'> => message.kind === 'pong' && message.value === value;
}

export function isReceived(block: string): (message: Returned) => message is Of<'received'> {
  return (message): message is Of<'received'> => message.kind === 'received' && message.block === block;
}
