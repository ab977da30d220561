import { Piscina } from 'piscina';
import { abortError, FitdocError } from '@fitdoc/interface';
import type { EncodedBatch } from '@fitdoc/codec';
import type { DiffResult, DiffTask } from '@fitdoc/diff';
import type {
  ApplyResult,
  ApplyTask,
  BlocksTask,
  EncodeResult,
  EncodeTask,
  EngineTask,
  LayersTask,
  PatchResult,
  PatchTask,
  RebuildResult,
  RebuildTask,
  MergeResult,
  MergeTask,
  TaskOutcome,
} from './tasks.js';

/** What a pool does for its users. */
export interface WorkerCalls {
  /** Tasks that are worked on at a time. */
  readonly workers: number;
  readonly diff: (task: DiffTask, signal?: AbortSignal) => Promise<DiffResult>;
  readonly encode: (task: EncodeTask, signal?: AbortSignal) => Promise<EncodeResult>;
  readonly blocks: (task: BlocksTask, signal?: AbortSignal) => Promise<EncodedBatch>;
  readonly merge: (task: MergeTask, signal?: AbortSignal) => Promise<MergeResult>;
  readonly apply: (task: ApplyTask, signal?: AbortSignal) => Promise<readonly ApplyResult[]>;
}

type Run = (task: EngineTask, signal: AbortSignal | undefined) => Promise<unknown>;

function callsOf(workers: number, run: Run): WorkerCalls {
  return {
    workers,
    diff: (task, signal) => run({ kind: 'diff', task }, signal) as Promise<DiffResult>,
    encode: (task, signal) => run(task, signal) as Promise<EncodeResult>,
    blocks: (task, signal) => run(task, signal) as Promise<EncodedBatch>,
    merge: (task, signal) => run(task, signal) as Promise<MergeResult>,
    apply: (task, signal) => run(task, signal) as Promise<readonly ApplyResult[]>,
  };
}

function threads(
  file: string,
  counts: { readonly minThreads: number; readonly maxThreads: number },
): Piscina {
  return new Piscina({
    filename: new URL(file, import.meta.url).href,
    ...counts,
    idleTimeout: 30_000,
    // Workers decode data from repositories: they need no environment, and no loader of the main thread. Node.js 20
    // aborts the whole process when a thread is ended while it loads a module by `require`, as piscina tries first.
    execArgv: ['--no-experimental-require-module'],
  });
}

/** Longest that a task in the background waits for those that are in a hurry: reads of hours must not stop it. */
const GIVES_WAY_MS = 200;
/** The same for one that has become urgent: about a guest's pause. */
const URGENT_GIVES_WAY_MS = 50;

/** A thread for work that goes on beside checkpoints, one task at a time. */
interface Lane {
  readonly threads: Piscina;
  readonly givesWayMs: number;
  last: Promise<unknown>;
}

function lane(file: string, givesWayMs: number): Lane {
  return { threads: threads(file, { minThreads: 0, maxThreads: 1 }), givesWayMs, last: Promise.resolve() };
}

/** The worker threads that all machines of an engine share. */
export class WorkerPool implements WorkerCalls {
  readonly workers: number;
  readonly diff: WorkerCalls['diff'];
  readonly encode: WorkerCalls['encode'];
  readonly blocks: WorkerCalls['blocks'];
  readonly merge: WorkerCalls['merge'];
  readonly apply: WorkerCalls['apply'];
  readonly #piscina: Piscina;
  readonly #low: Lane;
  readonly #steady: Lane;
  #urgent = 0;
  readonly #quiet = new Set<() => void>();
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;

  constructor(workers: number) {
    this.workers = workers;
    this.#piscina = threads('./worker.js', { minThreads: 1, maxThreads: workers });
    this.#low = lane('./low-worker.js', GIVES_WAY_MS);
    this.#steady = lane('./worker.js', URGENT_GIVES_WAY_MS);
    const { diff, encode, blocks, merge, apply } = callsOf(workers, (task, signal) =>
      this.#urgently(task, signal),
    );
    this.diff = diff;
    this.encode = encode;
    this.blocks = blocks;
    this.merge = merge;
    this.apply = apply;
  }

  /**
   * For work beside checkpoints: one task at a time, when no other is under way, on a thread of its own. No task of
   * it holds up a thread that a checkpoint wants. The thread is of lower priority, which gets next to nothing on a
   * host whose guests take every core; while `isUrgent`, asked before each task, it is one of the process's own.
   */
  background(isUrgent: () => boolean): WorkerCalls {
    return callsOf(1, (task, signal) => this.#inLane(isUrgent() ? this.#steady : this.#low, task, signal));
  }

  layers(task: LayersTask, signal?: AbortSignal): Promise<readonly SharedArrayBuffer[]> {
    return this.#urgently(task, signal) as Promise<readonly SharedArrayBuffer[]>;
  }

  rebuild(task: RebuildTask, signal?: AbortSignal): Promise<RebuildResult> {
    return this.#urgently(task, signal) as Promise<RebuildResult>;
  }

  patch(task: PatchTask, signal?: AbortSignal): Promise<PatchResult> {
    return this.#urgently(task, signal) as Promise<PatchResult>;
  }

  /**
   * Ends the threads when what they have begun is done, so that none is killed while it writes to an image or a
   * file, or after it sent a result that nobody would expect any more. Tasks from then on: ARGUMENT_INVALID.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#letGo();
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    const all = [this.#piscina, this.#low.threads, this.#steady.threads];
    await Promise.all(all.map((each) => each.destroy()));
  }

  /** Keeps work in the background from starting until the given function is called: for a guest that is paused. */
  hurry(): () => void {
    this.#urgent++;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      if (--this.#urgent > 0) return;
      this.#letGo();
    };
  }

  async #urgently(task: EngineTask, signal: AbortSignal | undefined): Promise<unknown> {
    const end = this.hurry();
    try {
      return await this.#run(this.#piscina, task, signal);
    } finally {
      end();
    }
  }

  #inLane(lane: Lane, task: EngineTask, signal: AbortSignal | undefined): Promise<unknown> {
    const turn = lane.last.then(async () => {
      if (this.#urgent > 0) await this.#giveWay(lane.givesWayMs);
      return this.#run(lane.threads, task, signal);
    });
    lane.last = turn.catch(() => undefined);
    return turn;
  }

  async #giveWay(longestMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let go = (): void => undefined;
    await new Promise<void>((resolve) => {
      go = resolve;
      this.#quiet.add(go);
      timer = setTimeout(resolve, longestMs);
    });
    clearTimeout(timer);
    this.#quiet.delete(go);
  }

  #letGo(): void {
    for (const go of this.#quiet) go();
    this.#quiet.clear();
  }

  async #run(threads: Piscina, task: EngineTask, signal: AbortSignal | undefined): Promise<unknown> {
    if (signal?.aborted) throw abortError(signal);
    if (this.#closed) throw closedError();
    const outcome = await this.#submit(threads, task);
    if ('value' in outcome) return outcome.value;
    const { code, message, hint, details } = outcome.failure;
    throw new FitdocError(code, message, { details, ...(hint !== undefined && { hint }) });
  }

  async #submit(threads: Piscina, task: EngineTask): Promise<TaskOutcome> {
    // Not piscina's own cancellation: it kills the thread, which may be writing into an image.
    const outcome = threads.run(task) as Promise<TaskOutcome>;
    this.#underWay.add(outcome);
    try {
      return await outcome;
    } catch (cause) {
      throw new FitdocError('WORKER_DIED', 'A worker thread ended before its task was done.', {
        cause,
        retryable: true,
        hint: 'No change is lost: try again. If it repeats, the host may be short of memory.',
      });
    } finally {
      this.#underWay.delete(outcome);
    }
  }
}

function closedError(): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', 'The engine is closed.', {
    hint: 'Make another with createEngine, or close it only when all is done.',
  });
}
