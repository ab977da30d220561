import { writeSync } from 'node:fs';
import { abortError, throwIfAborted } from '@fitdoc/interface';
import { bindSockets, type SocketCalls } from '../native/binding.js';
import { shutDown } from '../native/sockets.js';
import { Loans, type Destination } from '../reader/loans.js';
import type { Job, Result } from '../reader/messages.js';
import type { ReaderThread } from '../reader/thread.js';

/** The receiving end of one migration: a socket that the reader thread reads and this one answers into. */
export class StreamChannel {
  private running: Promise<unknown> = Promise.resolve();
  private over = false;

  private constructor(
    private readonly calls: SocketCalls,
    private readonly reader: ReaderThread,
    private readonly socket: number,
  ) {}

  /** Takes over `socket`. Requires that the reader reads no other stream. */
  static async open(reader: ReaderThread, socket: number, bufferBytes: number): Promise<StreamChannel> {
    const calls = await bindSockets();
    reader.stopped = false;
    try {
      await reader.run({ type: 'open', socket, bufferBytes });
    } catch (error) {
      calls.close(socket);
      throw error;
    }
    return new StreamChannel(calls, reader, socket);
  }

  /**
   * Has the reader do a job. An abort ends the stream; in any case nobody writes into the sink's memory when it
   * settles. Errors: CAPTURE_FAILED when the stream ends first, PROTOCOL_ERROR, WORKER_DIED, those of the sink.
   */
  async run(job: Exclude<Job, { type: 'open' }>, signal: AbortSignal, to?: Destination): Promise<Result> {
    throwIfAborted(signal);
    const stop = (): void => this.stop();
    const loans = to && new Loans(to);
    const call = this.reader.run(job, loans, stop);
    this.running = call.catch(() => undefined);
    signal.addEventListener('abort', stop, { once: true });
    try {
      const result = await call;
      // An abort has ended the stream, even if it came too late to be of use.
      throwIfAborted(signal);
      return result;
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Says whether the guest runs; see ReaderThread. */
  set resumed(value: boolean) {
    this.reader.resumed = value;
  }

  /** Sends COLO messages, in one write: a few bytes, which the socket always has room for. */
  send(messages: readonly number[]): void {
    const bytes = new DataView(new ArrayBuffer(4 * messages.length));
    messages.forEach((message, index) => bytes.setUint32(4 * index, message));
    try {
      if (!this.over) writeSync(this.socket, new Uint8Array(bytes.buffer));
    } catch {
      // QEMU has closed its end: whoever reads learns of it.
    }
  }

  async close(): Promise<void> {
    if (this.over) return;
    this.over = true;
    this.stop();
    await this.running;
    this.calls.close(this.socket);
  }

  private stop(): void {
    this.reader.stopped = true;
    shutDown(this.calls, this.socket);
  }
}
