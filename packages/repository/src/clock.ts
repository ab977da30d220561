import { abortError, throwIfAborted } from '@fitdoc/interface';

/** Time, and waiting for it. Tests put their own in place. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after that many milliseconds; rejects with ABORTED. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Calls `body` every so many milliseconds without keeping the process alive; gives the function to stop. */
  every(milliseconds: number, body: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
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
