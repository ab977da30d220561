import { Shard, type ShardHandle } from './shard.js';

/** A part of what is staged, to be compared by any thread with `runDiffTask`. Structured-cloneable. */
export interface DiffTask {
  readonly shard: ShardHandle;
  /** Pairs of first slot and end slot. */
  readonly slots: readonly number[];
}

export interface DiffResult {
  /** Pages compared. */
  readonly pages: number;
}

/**
 * Compares the task's staged pages with the image. Tasks of one `settle` touch different pages and may run
 * at once, anywhere. To run a task again is harmless, and completes one whose thread died.
 */
export function runDiffTask(task: DiffTask): DiffResult {
  const shard = Shard.attach(task.shard);
  let pages = 0;
  for (let i = 0; i < task.slots.length; i += 2) {
    pages += shard.kernel.diffSlots(task.slots[i]!, task.slots[i + 1]!);
  }
  return { pages };
}
