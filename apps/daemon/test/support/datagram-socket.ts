import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { PATIENCE_MS } from './daemon.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

const libc = koffi.load('libc.so.6');
const openSocket = libc.func('int socket(int, int, int)') as (...values: number[]) => number;
const bind = libc.func('int bind(int, void *, unsigned int)') as (
  socket: number,
  address: Buffer,
  length: number,
) => number;
const receive = libc.func('long recv(int, void *, size_t, int)') as (
  socket: number,
  into: Buffer,
  length: number,
  flags: number,
) => number;
const closeSocket = libc.func('int close(int)') as (socket: number) => number;

/** A unix datagram socket, as systemd opens one for its services; Node has none. */
export class DatagramSocket {
  readonly #descriptor: number;

  constructor(readonly path: string) {
    const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(path), Buffer.from([0])]);
    this.#descriptor = openSocket(AF_UNIX, SOCK_DGRAM, 0);
    if (bind(this.#descriptor, address, address.length) !== 0) throw new Error(`cannot bind ${path}`);
  }

  /** The next message that begins so; others before it are passed over. */
  async message(start: string): Promise<string> {
    const buffer = Buffer.alloc(4096);
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      const length = receive(this.#descriptor, buffer, buffer.length, MSG_DONTWAIT);
      const text = length > 0 ? buffer.toString('utf8', 0, length) : '';
      if (text.startsWith(start)) return text;
      if (text === '') await sleep(10);
    }
    throw new Error(`systemd was not told ${start}`);
  }

  close(): void {
    closeSocket(this.#descriptor);
  }
}
