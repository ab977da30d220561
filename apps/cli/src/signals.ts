import { isatty } from 'node:tty';
import { FitdocError } from '@fitdoc/interface';

export interface Interrupts {
  /** Aborted by the first Ctrl-C or SIGTERM: finish what is under way, start nothing. */
  readonly stop: AbortSignal;
  /** Aborted by the second, or by the first where nothing can be finished: cancel what is under way. */
  readonly cancel: AbortSignal;
  /** From now on the first signal only stops: what is under way is to be finished. */
  beGentle(): void;
  /** Does what a signal does. */
  interrupt(by: string): void;
  dispose(): void;
}

/**
 * Turns SIGINT, SIGTERM and SIGHUP into abort signals, so that guests are released and temporary files removed. A
 * third one ends the process at once. A SIGHUP counts only where a standard stream is a terminal: without one (under
 * `nohup`, whose ignored signal Node takes back when it starts) no terminal of ours can have been closed.
 */
export function listenForInterrupts(options: { readonly gentle: boolean }): Interrupts {
  let { gentle } = options;
  const stop = new AbortController();
  const cancel = new AbortController();
  const hasTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  let received = 0;
  const interrupt = (by: string): void => {
    received++;
    if (received === 1) stop.abort(interrupted(by));
    if (received === 2 || (received === 1 && !gentle)) cancel.abort(interrupted(by));
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (name === 'SIGHUP' && !hasTerminal) return;
    interrupt(name);
    if (received > 2) process.exit(130);
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    stop: stop.signal,
    cancel: cancel.signal,
    beGentle: () => (gentle = true),
    interrupt,
    dispose: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

function interrupted(by: string): FitdocError {
  return new FitdocError('ABORTED', `Interrupted by ${by}.`);
}
