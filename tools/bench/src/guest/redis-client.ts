import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/**
 * One connection to a redis, one question at a time, by inline commands (the protocol of redis, RESP2). So little is
 * between the question and the wire that the time until the answer is the server's and the network's.
 */
export class RedisClient {
  #received = '';
  #wake: () => void = () => undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('latin1').setNoDelay();
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    for (const end of ['close', 'error']) socket.on(end, () => this.#wake());
  }

  static async connect(port: number): Promise<RedisClient> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RedisClient(socket);
  }

  /** A simple or a bulk string; rejects on an error and when the connection has ended. */
  ask(command: string): Promise<string> {
    const answer = this.#last.then(() => this.#ask(command));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #ask(command: string): Promise<string> {
    this.socket.write(`${command}\r\n`);
    for (;;) {
      const answer = takeAnswer(this.#received);
      if (answer) {
        this.#received = this.#received.slice(answer.length);
        if (answer.isError) throw new Error(`redis answers ${command} with ${answer.text}`);
        return answer.text;
      }
      if (this.socket.destroyed) throw new Error('the connection to redis has ended');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

interface Answer {
  readonly text: string;
  readonly isError: boolean;
  /** Characters that it takes. */
  readonly length: number;
}

function takeAnswer(received: string): Answer | undefined {
  const end = received.indexOf('\r\n');
  if (end < 0) return undefined;
  const [kind, line] = [received[0], received.slice(1, end)];
  if (kind !== '$' || line === '-1') return { text: line, isError: kind === '-', length: end + 2 };
  const length = end + 2 + Number(line) + 2;
  if (received.length < length) return undefined;
  return { text: received.slice(end + 2, length - 2), isError: false, length };
}
