import { FitdocError } from '@fitdoc/interface';

export interface Interrupts {
  /** Aborted by the first Ctrl-C or SIGTERM: finish what is under way, start nothing. */
  readonly stop: AbortSignal;
  /** Aborted by the second, or by the first where nothing can be finished: cancel what is under way. */
  readonly cancel: AbortSignal;
  dispose(): void;
}

/**
 * Turns SIGINT, SIGTERM and SIGHUP into abort signals, so that guests are released and temporary files removed. A third
 * one ends the process at once.
 */
export function listenForInterrupts(options: { readonly gentle: boolean }): Interrupts {
  const stop = new AbortController();
  const cancel = new AbortController();
  let received = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    received++;
    if (received === 1) stop.abort(interrupted(name));
    if (received === 2 || (received === 1 && !options.gentle)) cancel.abort(interrupted(name));
    if (received > 2) process.exit(130);
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    stop: stop.signal,
    cancel: cancel.signal,
    dispose: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

function interrupted(name: string): FitdocError {
  return new FitdocError('ABORTED', `Interrupted by ${name}.`);
}
