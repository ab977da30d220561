import { diffPages, type DiffOptions } from './diff-pages.js';
import { runDiffTask, type DiffTask } from './task.js';

/** Two buffers to compare in a worker. */
export interface PairTask {
  readonly next: Uint8Array;
  readonly image: Uint8Array;
  readonly options: DiffOptions;
}

/** The function that the pool calls in its workers. */
export function runTask(task: DiffTask | PairTask): unknown {
  return 'next' in task ? diffPages(task.next, task.image, task.options) : runDiffTask(task);
}
