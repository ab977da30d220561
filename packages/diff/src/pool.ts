import { availableParallelism } from 'node:os';
import { abortError, FitdocError, isFitdocError, throwIfAborted } from '@fitdoc/interface';
import type { PageBatch } from '@fitdoc/interface';
import { Piscina } from 'piscina';
import { applyBatch } from './apply.js';
import { requireInteger } from './arguments.js';
import type { DiffOptions } from './diff-pages.js';
import type { DiffResult, DiffTask } from './task.js';
import type { PairTask, TaskOutcome } from './worker.js';

export interface DiffPoolOptions {
  /** Threads. Default: as many as the process may use at once. */
  readonly workers?: number | undefined;
}

export interface PoolCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Two buffers of the same number of pages, at most 1024. */
export interface PagePair {
  readonly next: Uint8Array;
  readonly image: Uint8Array;
}

/** Tasks a worker holds at a time, so that it need not wait for this thread between two. */
const TASKS_AHEAD = 2;

/** Worker threads that compare pages. */
export class DiffPool {
  readonly workers: number;
  readonly #threads: Piscina;
  readonly #waiting: (() => void)[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #running = 0;
  #closed = false;

  private constructor(workers: number) {
    this.workers = workers;
    this.#threads = new Piscina({
      filename: new URL('./worker.js', import.meta.url).href,
      name: 'runTask',
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: TASKS_AHEAD,
      // Node.js 20 aborts the whole process when a thread is ended while it loads a module by `require`, as piscina
      // tries first.
      execArgv: ['--no-experimental-require-module'],
    });
  }

  /** Starts the threads. */
  static create(options: DiffPoolOptions = {}): DiffPool {
    const workers = options.workers ?? availableParallelism();
    requireInteger('workers', workers, 1, 1024);
    return new DiffPool(workers);
  }

  /**
   * Runs one task of `MemoryImage.settle`. An abort takes a waiting task back; a running one is finished
   * first, since its thread writes to the image. Errors: ABORTED, WORKER_DIED, ARGUMENT_INVALID after close.
   */
  async run(task: DiffTask, options: PoolCallOptions = {}): Promise<DiffResult> {
    return (await this.#submit(task, options.signal)) as DiffResult;
  }

  /**
   * Compares pairs of buffers; yields one batch a pair, in their order. The images are brought up to date,
   * by the worker when they lie in shared memory, else by this thread when the batch is taken. Reads ahead
   * by two pairs a worker. Errors: as `run`; the pairs not yet yielded may then be in either state.
   */
  async *diff(
    pairs: Iterable<PagePair> | AsyncIterable<PagePair>,
    options: PoolCallOptions & DiffOptions = {},
  ): AsyncGenerator<PageBatch, void, undefined> {
    const { signal, ...diffOptions } = options;
    const ahead: { pair: PagePair; batch: Promise<unknown> }[] = [];
    try {
      for await (const pair of pairs) {
        throwIfAborted(signal);
        const task: PairTask = { ...pair, options: diffOptions };
        const batch = this.#submit(task, signal);
        batch.catch(() => undefined);
        ahead.push({ pair, batch });
        if (ahead.length >= this.workers * 2) yield await finish(ahead.shift()!);
      }
      while (ahead.length > 0) yield await finish(ahead.shift()!);
    } finally {
      await Promise.allSettled(ahead.map(({ batch }) => batch));
    }
  }

  /**
   * Ends the threads when what they have begun is done: one that is killed may leave its page half written, and a
   * result behind that nobody expects any more. Idempotent; tasks that wait reject with ARGUMENT_INVALID.
   */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
    await this.#threads.destroy();
  }

  async #submit(task: DiffTask | PairTask, signal: AbortSignal | undefined): Promise<unknown> {
    throwIfAborted(signal);
    await this.#turn();
    try {
      throwIfAborted(signal);
      if (this.#closed) throw closedError();
      const outcome = await this.#handOver(task);
      if (signal?.aborted) throw abortError(signal);
      if ('result' in outcome) return outcome.result;
      const { code, message, hint } = outcome.failure;
      throw new FitdocError(code, message, hint === undefined ? {} : { hint });
    } catch (cause) {
      throw this.#typed(cause);
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #handOver(task: DiffTask | PairTask): Promise<TaskOutcome> {
    const outcome = this.#threads.run(task) as Promise<TaskOutcome>;
    this.#underWay.add(outcome);
    try {
      return await outcome;
    } finally {
      this.#underWay.delete(outcome);
    }
  }

  /** Waits until a thread has room. What is handed over is never cancelled: that would kill the thread. */
  async #turn(): Promise<void> {
    if (this.#running >= this.workers * TASKS_AHEAD)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
  }

  #typed(cause: unknown): FitdocError {
    if (isFitdocError(cause)) return cause;
    if (this.#closed) return closedError();
    return new FitdocError('WORKER_DIED', 'A worker thread ended before it had compared its pages.', {
      cause,
      retryable: true,
      hint: 'Run the task again; if it happens again, look for a memory limit on the process.',
    });
  }
}

async function finish(entry: { pair: PagePair; batch: Promise<unknown> }): Promise<PageBatch> {
  const batch = (await entry.batch) as PageBatch;
  const { image } = entry.pair;
  if (!(image.buffer instanceof SharedArrayBuffer)) applyBatch(batch, image);
  return batch;
}

function closedError(): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', 'The pool of workers is closed.', {
    hint: 'Create a new pool.',
  });
}
