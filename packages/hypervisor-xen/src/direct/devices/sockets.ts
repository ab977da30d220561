import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted } from '@fitdoc/interface';
import type { SocketCalls } from '../xen/binding.js';

const AF_UNIX = 1;
/** SOCK_STREAM, closed on exec, and no call of it waits: `poll` does, for so long and no longer. */
const STREAM = 1 | 0o2000000 | 0o4000;
const MSG_NOSIGNAL = 0x4000;
const POLLIN = 1;
const POLLOUT = 4;
/** How often it is looked whether something can be read where nobody is kept waiting. */
const LOOK_MS = 10;

/** Another process did not answer within its time, or not at all. */
export class NoAnswer extends Error {}

/**
 * A unix socket that is read and written in one turn of the event loop, with a bound for every wait: what has to be
 * asked while a guest stands must not wait for whatever else this process has to do.
 */
export class BoundedSocket {
  readonly #calls: SocketCalls;
  readonly #descriptor: number;
  readonly #chunk = new Uint8Array(65536);
  #text = '';

  /** Connects. Errors: NoAnswer. */
  constructor(calls: SocketCalls, path: string) {
    this.#calls = calls;
    this.#descriptor = calls.socket(AF_UNIX, STREAM, 0);
    if (this.#descriptor < 0) throw new NoAnswer('no socket is left');
    const address = new Uint8Array(110);
    address[0] = AF_UNIX;
    const { written } = new TextEncoder().encodeInto(path, address.subarray(2, 109));
    if (calls.connect(this.#descriptor, address, 2 + written + 1) < 0) {
      this.close();
      throw new NoAnswer(`${path} cannot be reached (errno ${calls.errno()})`);
    }
  }

  /** Writes all of the text. Errors: NoAnswer after `endMs` (`performance.now()`). */
  write(text: string, endMs: number): void {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) {
      this.#wait(POLLOUT, endMs);
      const rest = bytes.subarray(done);
      const sent = Number(this.#calls.send(this.#descriptor, rest, rest.length, MSG_NOSIGNAL));
      if (sent < 0) throw new NoAnswer(`the other end is gone (errno ${this.#calls.errno()})`);
      done += sent;
    }
  }

  /** The next line, without its end. Errors: NoAnswer after `endMs`, or when the other end has closed. */
  line(endMs: number): string {
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      this.#wait(POLLIN, endMs);
      const got = Number(this.#calls.recv(this.#descriptor, this.#chunk, this.#chunk.length, 0));
      if (got <= 0) throw new NoAnswer('the other end is gone');
      this.#text += Buffer.from(this.#chunk.buffer, 0, got).toString();
    }
  }

  /** Resolves when something can be read, without keeping the event loop waiting. Errors: NoAnswer after `endMs`; ABORTED. */
  async readable(endMs: number, signal: AbortSignal): Promise<void> {
    while (!this.#polled(POLLIN, 0)) {
      if (performance.now() >= endMs) throw new NoAnswer('no answer in time');
      await sleep(LOOK_MS);
      throwIfAborted(signal);
    }
  }

  close(): void {
    if (this.#descriptor >= 0) this.#calls.close(this.#descriptor);
  }

  #wait(events: number, endMs: number): void {
    const left = Math.ceil(endMs - performance.now());
    if (left <= 0 || !this.#polled(events, left)) throw new NoAnswer('no answer in time');
  }

  #polled(events: number, limitMs: number): boolean {
    // struct pollfd: the descriptor as int, wanted and met events as short.
    return this.#calls.poll(new Int32Array([this.#descriptor, events]), 1, limitMs) > 0;
  }
}
