import http from 'node:http';
import { abortError, ERROR_CODES, FitdocError, type ErrorCode } from '@fitdoc/interface';
import type { DaemonProblem } from './model.js';

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

  post<Answer>(path: string): Promise<Answer> {
    return this.#ask<Answer>('POST', path, this.signal);
  }

  /** Reaches the daemon even when the command was interrupted: that is what cancelling is for. */
  delete<Answer>(path: string): Promise<Answer> {
    return this.#ask<Answer>('DELETE', path, AbortSignal.timeout(5000));
  }

  async #ask<Answer>(method: string, path: string, signal: AbortSignal): Promise<Answer> {
    const { status, text } = await this.#send(method, path, signal);
    const answer = parsed(text);
    if (status >= 200 && status < 300 && answer !== undefined) return answer as Answer;
    throw daemonError((answer ?? { message: `The daemon answered ${status}.` }) as DaemonProblem);
  }

  #send(
    method: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly text: string }> {
    return new Promise((resolve, reject) => {
      const { socket: socketPath } = this;
      const request = http.request({ socketPath, path, method, signal, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.once('error', reject);
      });
      request.once('error', (cause) => reject(signal.aborted ? abortError(signal) : this.#noDaemon(cause)));
      request.end();
    });
  }

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
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
