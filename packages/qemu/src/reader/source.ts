import { readSync } from 'node:fs';
import { FitdocError } from '@fitdoc/interface';
import { nowMs } from '../clock.js';
import { ByteQueue, type Parse } from '../stream/byte-queue.js';
import { SectionReader } from '../stream/sections.js';
import { Slabs } from '../stream/slabs.js';

/** One connection's stream, read by blocking calls. */
export class StreamSource {
  readonly queue = new ByteQueue();
  readonly sections = new SectionReader(this.queue);
  private readonly slabs = new Slabs();

  constructor(
    private readonly socket: number,
    private readonly stopped: () => boolean,
  ) {}

  /** Runs a parser to its end. Errors: CAPTURE_FAILED when the stream ends first or reading is stopped. */
  run<Result>(parse: Parse<Result>): Result {
    for (;;) {
      const step = parse.next();
      if (step.done === true) return step.value;
      while (this.queue.available < step.value) this.read();
    }
  }

  private read(): void {
    this.slabs.release(this.queue.position);
    for (;;) {
      if (this.stopped()) throw ended();
      const count = this.attempt();
      if (count === undefined) continue;
      if (count === 0) throw ended();
      this.queue.push(this.slabs.taken(count), nowMs());
      return;
    }
  }

  /** Bytes read; undefined when none came in the time for which the socket lets a read wait. */
  private attempt(): number | undefined {
    try {
      return readSync(this.socket, this.slabs.room());
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'EAGAIN' || code === 'EINTR') return undefined;
      throw ended(cause);
    }
  }
}

/** CAPTURE_FAILED: the stream has ended, or what is read of it is no longer wanted. */
export function ended(cause?: unknown): FitdocError {
  return new FitdocError('CAPTURE_FAILED', "QEMU's stream ended early.", {
    cause,
    hint: 'The guest runs on; the next capture starts over with a full one. See the log of QEMU for its reason.',
    retryable: true,
  });
}
