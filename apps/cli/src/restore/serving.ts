import type { FitdocError, Progress, RestoreOptions } from '@fitdoc/interface';
import type { Session } from '../session.js';

/** Milliseconds between two messages of progress for programs. */
const TELL_EVERY_MS = 1000;

/** How the command tells of a guest that runs before its memory is there, and what Ctrl-C means then. */
export interface Serving {
  readonly options: RestoreOptions;
  dispose(): void;
}

/**
 * Ctrl-C cancels as long as no guest runs. After that the guest depends on this process: it is told, and the next one
 * ends it all the same. `how`: the command that goes on with it.
 */
export function serving(session: Session, to: () => string, id: string, how: string): Serving {
  const { terminal, interrupts } = session;
  let running = false;
  let told = Number.NEGATIVE_INFINITY;
  let trouble = '';
  const onStop = (): void => {
    if (running)
      terminal.note(
        `The guest runs and needs the rest of its memory from here: ending when all is sent. Once more ends at once; then: ${how}`,
      );
  };
  interrupts.stop.addEventListener('abort', onStop, { once: true });
  const onProgress = (progress: Progress): void => {
    terminal.progress(progress);
    const now = performance.now();
    if (!running || now - told < TELL_EVERY_MS) return;
    told = now;
    const left = (progress.total ?? 0) - progress.done;
    terminal.data({ message_type: 'progress', pages_left: left, pages: progress.total ?? null });
  };
  const onRunning = (state: 'running' | 'paused'): void => {
    running = true;
    interrupts.beGentle();
    terminal.line(
      `${state}; its memory follows, and it needs this command until then (if it is killed: ${how})`,
    );
    terminal.data({ message_type: state, id, to: to(), resume: how });
  };
  const onTrouble = ({ code, message }: FitdocError): void => {
    if (code === trouble) return;
    trouble = code;
    terminal.note(`the guest waits: ${message} [${code}] It is tried again until it works.`);
  };
  return {
    options: { signal: session.signal, onProgress, onRunning, onTrouble },
    dispose: () => interrupts.stop.removeEventListener('abort', onStop),
  };
}
