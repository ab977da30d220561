import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { abortError, FitdocError, throwIfAborted } from '@fitdoc/interface';
import { ByteQueue, type Parse } from '../stream/byte-queue.js';
import { Slabs } from '../stream/slabs.js';
import { landingSocket } from './landing-socket.js';

/** Bytes that may wait unparsed while the guest runs; beyond them QEMU is made to wait. */
const HELD_BYTES = 8 << 20;

/** The time by which bytes are stamped on arrival: QEMU's clock for events, milliseconds since 1970. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** The receiving end of one migration: a unix socket of ours, in a directory that only this user can open. */
export class StreamChannel {
  readonly queue = new ByteQueue();
  private socket: Socket | undefined;
  private failure: FitdocError | undefined;
  private limit = HELD_BYTES;
  private wake: (() => void) | undefined;
  /** Bytes that whoever waits is content with: waking it for less costs time in which a guest may stand. */
  private awaited = 0;
  private readonly slabs = new Slabs();

  private constructor(
    private readonly server: Server,
    private readonly directory: string,
    /** Path for a `unix:` migration URI. */
    readonly path: string,
  ) {}

  static async listen(parent: string = tmpdir()): Promise<StreamChannel> {
    const directory = await mkdtemp(join(parent, 'fitdoc-kvm-'));
    const path = join(directory, 'stream.sock');
    const server = createServer({ pauseOnConnect: true });
    const channel = new StreamChannel(server, directory, path);
    server.on('connection', (socket) => channel.accept(socket));
    server.on('error', (cause) => channel.fail(cause));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    return channel;
  }

  get connected(): boolean {
    return this.socket !== undefined;
  }

  /** Runs a parser to its end, feeding it as bytes come. Rejects when the stream ends first. */
  async run<Result>(parse: Parse<Result>, signal?: AbortSignal): Promise<Result> {
    for (;;) {
      const step = parse.next();
      if (step.done === true) return step.value;
      await this.fill(step.value, signal);
    }
  }

  /** Waits until `bytes` are there to be read. */
  async fill(bytes: number, signal?: AbortSignal): Promise<void> {
    while (this.queue.available < bytes) {
      throwIfAborted(signal);
      if (this.failure !== undefined) throw this.failure;
      this.slabs.release(this.queue.position);
      this.flow();
      await this.change(bytes, signal);
    }
  }

  /** Lets up to `bytes` pile up unparsed, so that QEMU does not wait for the parser while the guest stands. */
  allow(bytes: number): void {
    this.limit = Math.max(bytes, HELD_BYTES);
    this.flow();
  }

  /** Waits until as much as was allowed has piled up, or the stream ended. */
  async full(signal: AbortSignal): Promise<void> {
    while (this.failure === undefined && this.queue.available < this.limit)
      await this.change(this.limit, signal);
  }

  /** Sends COLO messages, in one write. */
  send(messages: readonly number[]): void {
    const bytes = new DataView(new ArrayBuffer(4 * messages.length));
    messages.forEach((message, index) => bytes.setUint32(4 * index, message));
    this.socket?.write(new Uint8Array(bytes.buffer));
  }

  async close(): Promise<void> {
    this.fail();
    this.socket?.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    await rm(this.directory, { recursive: true, force: true });
  }

  private accept(accepted: Socket): void {
    if (this.socket !== undefined || this.failure !== undefined) {
      accepted.destroy();
      return;
    }
    const landing = landingSocket(accepted, {
      room: () => this.slabs.room(),
      landed: (count) => this.arrived(this.slabs.taken(count)),
    });
    const socket = landing ?? accepted.on('data', (chunk: Buffer) => this.arrived(chunk));
    this.socket = socket;
    socket.on('error', (cause) => this.fail(cause));
    socket.on('close', () => this.fail());
    socket.resume();
    this.notify();
  }

  private arrived(chunk: Uint8Array): void {
    this.queue.push(chunk, nowMs());
    if (this.queue.available >= this.limit) this.socket?.pause();
    if (this.queue.available >= this.awaited) this.notify();
  }

  private flow(): void {
    if (this.socket?.isPaused() === true && this.queue.available < this.limit) this.socket.resume();
  }

  private fail(cause?: unknown): void {
    this.failure ??= new FitdocError('CAPTURE_FAILED', "QEMU's stream ended early.", {
      cause,
      hint: 'The guest runs on; the next capture starts over with a full one. See the log of QEMU for its reason.',
      retryable: true,
    });
    this.notify();
  }

  private notify(): void {
    this.wake?.();
    this.wake = undefined;
  }

  /** Waits until there are `bytes`, or something else has happened. */
  private async change(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(abortError(signal!));
      signal?.addEventListener('abort', onAbort, { once: true });
      const before = this.wake;
      this.awaited = before === undefined ? bytes : Math.min(bytes, this.awaited);
      this.wake = () => {
        signal?.removeEventListener('abort', onAbort);
        before?.();
        resolve();
      };
    });
  }
}
