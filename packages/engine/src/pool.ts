import { Piscina } from 'piscina';
import { abortError, FitdocError } from '@fitdoc/interface';
import type { EncodedBatch } from '@fitdoc/codec';
import type { DiffResult, DiffTask } from '@fitdoc/diff';
import type {
  ApplyResult,
  ApplyTask,
  EncodeBatchTask,
  EncodeResult,
  EncodeTask,
  EngineTask,
  TaskOutcome,
} from './tasks.js';

/** The worker threads that all machines of an engine share. */
export class WorkerPool {
  readonly workers: number;
  readonly #piscina: Piscina;

  constructor(workers: number) {
    this.workers = workers;
    this.#piscina = new Piscina({
      filename: new URL('./worker.js', import.meta.url).href,
      minThreads: 1,
      maxThreads: workers,
      idleTimeout: 30_000,
      // Workers decode data from repositories: they need no environment, and no loader of the main thread.
      execArgv: [],
    });
  }

  diff(task: DiffTask, signal?: AbortSignal): Promise<DiffResult> {
    return this.#run<DiffResult>({ kind: 'diff', task }, signal);
  }

  encode(task: EncodeTask, signal?: AbortSignal): Promise<EncodeResult> {
    return this.#run<EncodeResult>(task, signal);
  }

  encodeBatch(task: EncodeBatchTask, signal?: AbortSignal): Promise<EncodedBatch> {
    return this.#run<EncodedBatch>(task, signal);
  }

  apply(task: ApplyTask, signal?: AbortSignal): Promise<readonly ApplyResult[]> {
    return this.#run<readonly ApplyResult[]>(task, signal);
  }

  async close(): Promise<void> {
    await this.#piscina.destroy();
  }

  async #run<Result>(task: EngineTask, signal: AbortSignal | undefined): Promise<Result> {
    if (signal?.aborted) throw abortError(signal);
    const outcome = await this.#submit(task);
    if ('value' in outcome) return outcome.value as Result;
    const { code, message, hint, details } = outcome.failure;
    throw new FitdocError(code, message, { details, ...(hint !== undefined && { hint }) });
  }

  async #submit(task: EngineTask): Promise<TaskOutcome> {
    try {
      // Not piscina's own cancellation: it kills the thread, which may be writing into an image.
      return (await this.#piscina.run(task)) as TaskOutcome;
    } catch (cause) {
      throw new FitdocError('WORKER_DIED', 'A worker thread ended before its task was done.', {
        cause,
        retryable: true,
        hint: 'No change is lost: try again. If it repeats, the host may be short of memory.',
      });
    }
  }
}
