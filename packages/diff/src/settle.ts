import { abortError, FitdocError, isFitdocError, throwIfAborted } from '@fitdoc/interface';
import type { Chunk, Staging } from './staging.js';
import { MOST_TASK_PAGES, runDiffTask, type DiffResult, type DiffTask } from './task.js';

export interface SettleOptions {
  /**
   * Runs one task, here or on another thread. Its promise must not settle before the task has ended, or can
   * never go on (its thread is dead). Default: this thread.
   */
  readonly run?: ((task: DiffTask) => Promise<DiffResult>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Tasks handed to `run` at a time. Default 16. */
  readonly concurrency?: number | undefined;
}

/** Lets parts of the comparison begin only as far as there is memory for what they bring in. */
export interface Gate {
  /** Takes the parts off the list that may run together now, one at least, after having made room for them. */
  admit(parts: Part[]): Promise<Part[]>;
}

export interface Part {
  readonly task: DiffTask;
  readonly chunks: readonly Chunk[];
}

const LEAST_TASK_PAGES = 256;

/** Compares everything staged. What failed or was not started stays staged for the next time. */
export async function settleStaging(staging: Staging, options: SettleOptions, gate?: Gate): Promise<void> {
  const { signal } = options;
  throwIfAborted(signal);
  const run = options.run ?? runHere;
  const parts = split(staging);
  const done = new Set<Chunk>();
  let failure: { cause: unknown } | undefined;
  const giveUp = (cause: unknown): Part[] => {
    failure ??= { cause };
    return [];
  };
  const worker = async (together: Part[]): Promise<void> => {
    while (!failure && !signal?.aborted) {
      const part = together.shift();
      if (!part) return;
      try {
        await run(part.task);
        for (const chunk of part.chunks) done.add(chunk);
      } catch (cause) {
        failure ??= { cause };
      }
    }
  };
  let left = parts.length;
  while (parts.length > 0 && !failure && !signal?.aborted) {
    const together = gate ? await gate.admit(parts).catch(giveUp) : parts.splice(0);
    left -= together.length;
    const lanes = Math.min(together.length, options.run ? (options.concurrency ?? 16) : 1);
    await Promise.all(Array.from({ length: lanes }, () => worker(together)));
    left += together.length;
    staging.free(done);
    done.clear();
  }
  if (failure) throw taskError(failure.cause);
  if (left > 0 && signal?.aborted) throw abortError(signal);
}

/** On this thread a turn of the event loop between tasks lets an abort come through. */
async function runHere(task: DiffTask): Promise<DiffResult> {
  const result = runDiffTask(task);
  await new Promise((resolve) => setImmediate(resolve));
  return result;
}

function taskError(cause: unknown): FitdocError {
  if (isFitdocError(cause)) return cause;
  return new FitdocError('WORKER_DIED', 'A part of the comparison with the memory image did not finish.', {
    cause,
    retryable: true,
    hint: 'Settle again: what was not compared is still staged, and no change is lost.',
  });
}

/** Groups chunks of one shard to tasks large enough to be worth sending and small enough to share out. */
function split(staging: Staging): Part[] {
  const pages = staging.live.reduce((sum, chunk) => sum + chunk.used, 0);
  const aim = Math.min(MOST_TASK_PAGES, Math.max(LEAST_TASK_PAGES, Math.ceil(pages / 16)));
  const parts: Part[] = [];
  for (const group of byShard(staging.live)) {
    for (let start = 0; start < group.length;) {
      let size = 0;
      let end = start;
      while (end < group.length && (size === 0 || size + group[end]!.used <= aim)) size += group[end++]!.used;
      parts.push(partOf(staging, group.slice(start, end)));
      start = end;
    }
  }
  return parts;
}

function byShard(chunks: readonly Chunk[]): Chunk[][] {
  const groups = new Map<unknown, Chunk[]>();
  for (const chunk of chunks) {
    const group = groups.get(chunk.shard);
    if (group) group.push(chunk);
    else groups.set(chunk.shard, [chunk]);
  }
  return [...groups.values()];
}

function partOf(staging: Staging, chunks: Chunk[]): Part {
  const slots: number[] = [];
  for (const chunk of chunks) {
    const { from, to } = staging.slots(chunk);
    if (slots.at(-1) === from) slots[slots.length - 1] = to;
    else slots.push(from, to);
  }
  return { task: { shard: chunks[0]!.shard.handle, slots }, chunks };
}
