import { uptime } from 'node:os';
import { abortError, throwIfAborted } from '@fitdoc/interface';

/** Time, and waiting for it. Tests put their own in place. */
export interface Clock {
  /** Milliseconds since 1970, as the host's clock has it: for what people read. Anybody may set it, either way. */
  now(): number;
  /** Milliseconds since some moment, which only ever grow, also while the host sleeps: for ages and time-outs. */
  steady(): number;
  /** Resolves after that many milliseconds; rejects with ABORTED. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Calls `body` every so many milliseconds without keeping the process alive; gives the function to stop. */
  every(milliseconds: number, body: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  // Counted from the boot with the time asleep in it, which performance.now() leaves out.
  steady: () => uptime() * 1000,
  sleep(milliseconds, signal) {
    throwIfAborted(signal);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        clearTimeout(timer);
        reject(abortError(signal!));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, milliseconds);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
  every(milliseconds, body) {
    const timer = setInterval(body, milliseconds);
    timer.unref();
    return () => clearInterval(timer);
  },
};
