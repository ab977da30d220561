import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly QMP?: unknown;
}

/** As much of QEMU's monitor protocol as a recorder needs: one command after another. */
export class Qmp {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  static async connect(path: string): Promise<Qmp> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    const qmp = new Qmp(socket);
    await qmp.#next();
    await qmp.command('qmp_capabilities');
    return qmp;
  }

  /** Executes a command without arguments and gives what it returns. */
  async command(name: string): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute: name })}\n`);
    for (;;) {
      const answer = await this.#next();
      if (answer.error) throw new Error(`QEMU refused ${name}: ${answer.error.desc}`);
      if (answer.event === undefined) return answer.return;
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #next(): Promise<Answer> {
    const line = (await this.#lines.next()) as IteratorResult<string, undefined>;
    if (line.done === true) throw new Error('QEMU closed its monitor socket.');
    return JSON.parse(line.value) as Answer;
  }
}
