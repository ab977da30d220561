import { open } from 'node:fs/promises';
import http from 'node:http';
import { basename, dirname, resolve } from 'node:path';
import { abortError, ERROR_CODES, FitdocError, type ErrorCode } from '@fitdoc/interface';
import type { DaemonProblem } from './model.js';

/** Most bytes of a unix socket's path. */
const MOST_SOCKET_BYTES = 107;

interface Question {
  readonly method: string;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly body: object | undefined;
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

const DEFAULT_SOCKET = '/run/fitdocd.sock';

/** Where the daemon listens: what `--daemon` says, the environment, or the usual place. */
export function daemonSocket(option: string | boolean | undefined): string {
  if (typeof option === 'string') return option;
  return process.env['FITDOCD_SOCKET'] || DEFAULT_SOCKET;
}

/** Asks the daemon on a unix socket. */
export class DaemonClient {
  constructor(
    private readonly socket: string,
    private readonly signal: AbortSignal,
  ) {}

  get<Answer>(path: string): Promise<Answer> {
    return this.#ask<Answer>('GET', path, this.signal);
  }

  post<Answer>(path: string, body?: Readonly<Record<string, unknown>>): Promise<Answer> {
    return this.#ask<Answer>('POST', path, this.signal, body);
  }

  /** Reaches the daemon even when the command was interrupted: that is what cancelling is for. */
  delete<Answer>(path: string): Promise<Answer> {
    return this.#ask<Answer>('DELETE', path, AbortSignal.timeout(5000));
  }

  async #ask<Answer>(method: string, path: string, signal: AbortSignal, body?: object): Promise<Answer> {
    const { status, text } = await this.#send(method, path, signal, body);
    const answer = parsed(text);
    if (status >= 200 && status < 300 && answer !== undefined) return answer as Answer;
    throw daemonError((answer ?? { message: `The daemon answered ${status}.` }) as DaemonProblem);
  }

  async #send(method: string, path: string, signal: AbortSignal, body?: object): Promise<Reply> {
    // Node cuts paths off that are too long for the system: those are reached through their folder.
    const isLong = Buffer.byteLength(this.socket) > MOST_SOCKET_BYTES;
    const folder = isLong ? await open(dirname(resolve(this.socket)), 'r').catch(this.#refuse) : undefined;
    const socketPath = folder ? `/proc/self/fd/${folder.fd}/${basename(this.socket)}` : this.socket;
    return this.#sendTo(socketPath, { method, path, signal, body }).finally(() => folder?.close());
  }

  #sendTo(socketPath: string, { method, path, signal, body }: Question): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const options = { socketPath, path, method, signal, headers, agent: false };
      const request = http.request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.once('error', reject);
      });
      request.once('error', (cause) => reject(signal.aborted ? abortError(signal) : this.#noDaemon(cause)));
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  readonly #refuse = (cause: NodeJS.ErrnoException): never => {
    throw this.#noDaemon(cause);
  };

  #noDaemon(cause: NodeJS.ErrnoException): FitdocError {
    const denied = cause.code === 'EACCES';
    const message = denied
      ? `The daemon's socket ${this.socket} may not be used by this user.`
      : `No daemon answers at ${this.socket}.`;
    return new FitdocError('CAPABILITY_MISSING', message, {
      cause,
      hint: denied
        ? 'Run the command as root, or as a member of the group of the socket.'
        : 'Start it (fitdocd --config FILE), or name its socket: --daemon SOCKET, or FITDOCD_SOCKET.',
    });
  }
}

export function daemonError({ code, message, hint }: DaemonProblem): FitdocError {
  const known = ERROR_CODES.find((each) => each === code);
  return new FitdocError(known ?? ('PROTOCOL_ERROR' satisfies ErrorCode), message, {
    ...(hint !== undefined && { hint }),
    ...(known === undefined && { details: { code } }),
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
