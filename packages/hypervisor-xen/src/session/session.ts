import { abortError, FitdocError, isFitdocError, type PageSink } from '@fitdoc/interface';
import type { PfnSpace } from '../memory/pfn-space.js';
import type { HostProcess, HostShell } from '../host/shell.js';
import { StreamCollector } from '../stream/collector.js';
import { XenStreamParser } from '../stream/parser.js';
import { PauseClock, type PauseTimes } from './pause-clock.js';
import { SESSION_SCRIPT } from './script.js';

export interface SessionOptions {
  readonly mode: 'remus' | 'save';
  readonly domain: string;
  readonly space: PfnSpace;
  /** Shortest time between two checkpoints, ms. */
  readonly intervalMs: number;
  /** How long a pause may last without progress before the host ends the session, s. */
  readonly pauseLimitSeconds: number;
  readonly holdPages?: number;
}

interface Waiting {
  resolve(times: PauseTimes): void;
  reject(error: FitdocError): void;
}

/**
 * One run of `xl remus` (or `xl save -c`) on the host with this process as its receiver. Its sender is stopped
 * between captures, while the guest runs; whatever still comes is held, so the pipe never fills.
 */
export class StreamSession {
  /** Resolves when everything on the host has ended. */
  readonly ended: Promise<void>;
  readonly collector: StreamCollector;
  readonly #process: HostProcess;
  readonly #parser: XenStreamParser;
  readonly #clock = new PauseClock();
  readonly #mode: 'remus' | 'save';
  #waiting: Waiting | undefined;
  #error: FitdocError | undefined;
  #words = '';
  #stopped = false;
  #over = false;

  constructor(shell: HostShell, options: SessionOptions) {
    this.#mode = options.mode;
    const finished = () => this.#checkpoint();
    this.collector = new StreamCollector(options.space, {
      onCheckpoint: finished,
      onEnd: finished,
      onPass: () => this.#clock.pass(),
      ...(options.holdPages !== undefined && { holdPages: options.holdPages }),
    });
    this.#parser = new XenStreamParser(this.collector);
    const { mode, domain, intervalMs, pauseLimitSeconds } = options;
    const look = Math.max(1, Math.min(2, Math.floor(pauseLimitSeconds / 3)));
    const words = [mode, domain, String(intervalMs), String(pauseLimitSeconds), String(look)];
    this.#process = shell.start(SESSION_SCRIPT, words);
    this.#process.stdin.on('error', () => {});
    this.#process.stdout.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString()).slice(-8192);
    });
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.#over = true;
        this.#fail(this.#explain());
        resolve();
      };
      this.#process.on('error', end);
      this.#process.on('close', end);
    });
  }

  get over(): boolean {
    return this.#over || this.#error !== undefined;
  }

  /** Whether the host said, at the end, that the guest was still suspended. */
  get leftSuspended(): boolean {
    return this.#words.includes('fitdoc: the guest is suspended');
  }

  /**
   * Resolves at the next complete checkpoint, its pages in the sink. On failure or abort the session is over,
   * and nothing touches the sink any more.
   */
  async capture(sink: PageSink, signal?: AbortSignal): Promise<PauseTimes> {
    if (this.#error) throw this.#error;
    const abort = () => this.#fail(abortError(signal!));
    try {
      return await new Promise<PauseTimes>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        this.collector.attach(sink);
        this.#clock.start();
        if (signal?.aborted) abort();
        else signal?.addEventListener('abort', abort, { once: true });
        this.#say('go');
      });
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#waiting = undefined;
      this.collector.release();
    }
  }

  /** Ends the session; resolves when the host has resumed the guest and forgotten it. Idempotent. */
  async end(): Promise<void> {
    this.#error ??= new FitdocError('CAPTURE_FAILED', 'The session was ended.');
    this.#process.stdin.end();
    await this.ended;
  }

  #say(word: 'stop' | 'go'): void {
    if (this.over || this.#mode === 'save') return;
    this.#stopped = word === 'stop';
    this.#process.stdin.write(`${word}\n`);
  }

  #take(chunk: Buffer): void {
    if (this.#error) return;
    // The sender got past its stop: let it finish, or the guest would wait for it, suspended.
    if (this.#stopped) this.#say('go');
    this.#clock.bytes();
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#fail(isFitdocError(error) && !error.code.startsWith('FORMAT') ? error : refused(error));
    }
  }

  #checkpoint(): void {
    this.#say('stop');
    this.#waiting?.resolve(this.#clock.finish());
    this.#waiting = undefined;
    this.collector.release();
  }

  #fail(error: FitdocError): void {
    this.#error ??= error;
    // The host resumes the guest when its side of this pipe ends.
    this.#process.stdin.end();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    // An aborted call must not return before the guest runs again.
    if (waiting) void this.ended.then(() => waiting.reject(this.#error!));
  }

  #explain(): FitdocError {
    const lines = this.#words.split(/[\r\n]+/).filter((line) => line !== '' && !line.includes('progress'));
    return new FitdocError('CAPTURE_FAILED', `xl ${this.#mode} ended in the middle of a capture.`, {
      cause: new Error(lines.slice(-6).join('\n')),
      hint: 'The guest goes on. The next capture starts anew with all of the memory; see the cause for what xl said.',
      retryable: true,
    });
  }
}

/** What came could not be taken: by the parser, or by who lends the memory. */
function refused(cause: unknown): FitdocError {
  const parsed = isFitdocError(cause);
  const message = parsed ? 'The stream from Xen cannot be read.' : 'The pages from Xen could not be placed.';
  return new FitdocError(parsed ? 'PROTOCOL_ERROR' : 'CAPTURE_FAILED', message, {
    cause,
    hint: 'The guest goes on. The next capture starts a new stream with all of the memory.',
    retryable: true,
  });
}
