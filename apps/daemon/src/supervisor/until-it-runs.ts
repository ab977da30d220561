import type { Progress, RestoreOptions } from '@fitdoc/interface';

/** What a restore is cancelled by: `cancel` until its guest runs, `hurry` at any time. */
export interface UntilItRuns {
  options(
    onProgress: (progress: Progress) => void,
  ): Pick<RestoreOptions, 'signal' | 'onRunning' | 'onProgress'>;
  forget(): void;
}

export function untilItRuns(cancel: AbortSignal, hurry: AbortSignal): UntilItRuns {
  const own = new AbortController();
  let running = false;
  const onCancel = (): void => own.abort(cancel.reason);
  const onHurry = (): void => own.abort(hurry.reason);
  if (cancel.aborted) onCancel();
  cancel.addEventListener('abort', onCancel, { once: true });
  hurry.addEventListener('abort', onHurry, { once: true });
  return {
    options: (onProgress) => ({
      signal: own.signal,
      onRunning: () => {
        running = true;
        cancel.removeEventListener('abort', onCancel);
      },
      onProgress: (progress) =>
        onProgress(running ? { ...progress, phase: `the guest runs; ${progress.phase}` } : progress),
    }),
    forget: () => {
      cancel.removeEventListener('abort', onCancel);
      hurry.removeEventListener('abort', onHurry);
    },
  };
}
