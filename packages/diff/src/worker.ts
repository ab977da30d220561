import { isFitdocError, type ErrorCode } from '@fitdoc/interface';
import { diffPages, type DiffOptions } from './diff-pages.js';
import { runDiffTask, type DiffTask } from './task.js';

/** Two buffers to compare in a worker. */
export interface PairTask {
  readonly next: Uint8Array;
  readonly image: Uint8Array;
  readonly options: DiffOptions;
}

/** A typed error on its way between threads: cloning an error keeps neither its class nor its code. */
export interface TaskFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
}

export type TaskOutcome = { readonly result: unknown } | { readonly failure: TaskFailure };

/** The function that the pool calls in its workers. */
export function runTask(task: DiffTask | PairTask): TaskOutcome {
  try {
    const result = 'next' in task ? diffPages(task.next, task.image, task.options) : runDiffTask(task);
    return { result };
  } catch (error) {
    if (!isFitdocError(error)) throw error;
    return { failure: { code: error.code, message: error.message, hint: error.hint } };
  }
}
