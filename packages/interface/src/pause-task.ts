import { FitdocError } from './errors.js';

/** What somebody wants done while the guest stands for a capture. */
export interface PauseTask {
  /** Milliseconds after which the guest goes on, whatever has become of it. */
  readonly timeoutMs: number;
  /**
   * Begins it before it returns. An adapter calls it once in a capture, as soon as the guest stands and nothing of its
   * devices is under way, works on beside it, and lets the guest go on when it has settled, or when the capture has
   * failed. Settles after `timeoutMs` at the latest, and never rejects.
   */
  run(): Promise<void>;
}

/**
 * For adapters that end a pause by themselves after `limitMs`, which the setting `setting` raises: a task that may take
 * longer would be cut off in the middle. Errors: ARGUMENT_INVALID.
 */
export function checkPauseTask(task: PauseTask | undefined, limitMs: number, setting: string): void {
  if (task === undefined || task.timeoutMs < limitMs) return;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `What is done in the pause may take ${task.timeoutMs} ms, but the guest is let go on after ${limitMs} ms.`,
    { hint: `Give it less time, or raise ${setting}.` },
  );
}
