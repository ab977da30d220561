import type { SocketCalls } from '../xen/binding.js';
import { BoundedSocket, NoAnswer } from './sockets.js';

interface Message {
  readonly QMP?: { readonly version?: { readonly qemu?: QemuVersion } };
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
}

interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
}

/** A connection to QEMU's control socket, used in one turn of the event loop. Errors of every call: NoAnswer. */
export class QmpConnection {
  readonly version: string;
  readonly #socket: BoundedSocket;
  readonly #limitMs: number;

  private constructor(socket: BoundedSocket, limitMs: number) {
    this.#limitMs = limitMs;
    this.#socket = socket;
    try {
      const greeting = this.#read(performance.now() + limitMs);
      const { major, minor, micro } = greeting.QMP?.version?.qemu ?? { major: 0, minor: 0, micro: 0 };
      this.version = `${major}.${minor}.${micro}`;
      this.execute('qmp_capabilities');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Connects and greets at once; each answer may take `limitMs`. */
  static now(calls: SocketCalls, path: string, limitMs: number): QmpConnection {
    return new QmpConnection(new BoundedSocket(calls, path), limitMs);
  }

  /**
   * Connects, and greets when QEMU does, which serves whoever is connected besides us first: within `patienceMs`, in
   * which this process has its other work done. Errors: ABORTED.
   */
  static async served(
    calls: SocketCalls,
    path: string,
    { limitMs, patienceMs }: { readonly limitMs: number; readonly patienceMs: number },
    signal: AbortSignal,
  ): Promise<QmpConnection> {
    const socket = new BoundedSocket(calls, path);
    try {
      await socket.readable(performance.now() + patienceMs, signal);
    } catch (error) {
      socket.close();
      throw error;
    }
    return new QmpConnection(socket, limitMs);
  }

  /** Runs a command to its end; events meanwhile are nobody's here. */
  execute(command: string, parameters?: Readonly<Record<string, unknown>>): unknown {
    const endMs = performance.now() + this.#limitMs;
    const request = { execute: command, ...(parameters && { arguments: parameters }) };
    this.#socket.write(`${JSON.stringify(request)}\n`, endMs);
    for (;;) {
      const { return: result, error } = this.#read(endMs);
      if (error) throw new NoAnswer(`QEMU refused ${command}: ${error.desc}`);
      if (result !== undefined) return result;
    }
  }

  close(): void {
    this.#socket.close();
  }

  #read(endMs: number): Message {
    const line = this.#socket.line(endMs);
    try {
      return JSON.parse(line) as Message;
    } catch {
      throw new NoAnswer(`QEMU answered ${line.slice(0, 80)}`);
    }
  }
}
