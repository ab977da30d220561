import { connect, type Socket } from 'node:net';
import { abortError, FitdocError, isFitdocError, throwIfAborted, type Json } from '@fitdoc/interface';
import { reachable } from '../qmp/socket-path.js';

interface Reply {
  readonly return?: Json;
  readonly error?: { readonly desc?: string };
}

/** The QEMU guest agent in a guest, at the socket of its channel, which has room for one client at a time. */
export class GuestAgent {
  private text = '';
  private waiting: ((reply: Reply | FitdocError) => void) | undefined;

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk) => this.take(chunk.toString('latin1')));
    const end = (cause?: Error): void => this.waiting?.(silent('its channel was closed', cause));
    socket.on('error', end);
    socket.on('close', () => end());
  }

  /**
   * Connects and waits until the agent answers. It may hold a part of an earlier message: the byte 0xff has it begin anew,
   * and the answer is known by its number (QEMU's docs/interop/qemu-ga-ref). Errors: CAPABILITY_MISSING, ABORTED.
   */
  static async open(path: string, timeoutMs: number, signal?: AbortSignal): Promise<GuestAgent> {
    throwIfAborted(signal);
    const short = await reachable(path);
    const socket = connect({ path: short.path });
    const agent = new GuestAgent(socket);
    try {
      const id = Math.floor(Math.random() * 2 ** 31);
      socket.write(Buffer.of(0xff));
      const isOurs = (reply: Reply): boolean => reply.return === id;
      await agent.ask('guest-sync-delimited', { id }, { timeoutMs, signal, fits: isOurs });
      return agent;
    } catch (error) {
      agent.close();
      throw error;
    } finally {
      await short.release();
    }
  }

  /** One command at a time. Errors: CAPABILITY_MISSING (it does not answer, or refuses), ABORTED. */
  async execute<Result extends Json>(
    command: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<Result> {
    const { return: value, error } = await this.ask(command, {}, { ...options, fits: () => true });
    if (error !== undefined) throw refused(command, error.desc ?? 'no reason given');
    return value as Result;
  }

  close(): void {
    this.socket.destroy();
  }

  private async ask(
    command: string,
    args: Readonly<Record<string, Json>>,
    options: {
      readonly timeoutMs: number;
      readonly signal?: AbortSignal | undefined;
      readonly fits: (reply: Reply) => boolean;
    },
  ): Promise<Reply> {
    const { timeoutMs, signal, fits } = options;
    return new Promise((resolve, reject) => {
      const settle = (reply: Reply | FitdocError): void => {
        const failed = reply instanceof FitdocError;
        // What an earlier client asked may be answered first.
        if (!failed && !fits(reply)) return;
        this.waiting = undefined;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        if (failed) reject(reply);
        else resolve(reply);
      };
      const onAbort = (): void => settle(abortError(signal!));
      const timer = setTimeout(
        () => settle(silent(`${command} had no answer in ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.waiting = settle;
      signal?.addEventListener('abort', onAbort, { once: true });
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  private take(text: string): void {
    const lines = (this.text + text).split('\n');
    this.text = lines.pop()!;
    for (const line of lines) {
      const from = line.lastIndexOf('\u00ff') + 1;
      try {
        this.waiting?.(JSON.parse(line.slice(from)) as Reply);
      } catch {
        // The rest of an answer to somebody before us.
      }
    }
  }
}

/** Whether the agent in the guest answers at the socket of its channel, within a time. */
export async function pingAgent(path: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
  return GuestAgent.open(path, timeoutMs, signal).then(
    (agent) => (agent.close(), true),
    () => false,
  );
}

/** Whether an agent answered that it would not, or could not. */
export function isRefusal(error: unknown): boolean {
  return isFitdocError(error) && error.details['agent'] !== undefined;
}

function silent(why: string, cause?: Error): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', `The guest agent does not answer (${why}).`, {
    cause,
    hint: 'qemu-guest-agent must run in the guest, and nobody else (libvirt, say) be connected to its channel.',
    retryable: true,
  });
}

function refused(command: string, desc: string): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', `The guest agent refuses ${command}: ${desc}.`, {
    hint: "Its configuration in the guest (block-rpcs, allow-rpcs) must let it through, and so must the guest's security policy.",
    details: { command, agent: desc },
  });
}
