import { setTimeout as sleep } from 'node:timers/promises';
import { abortError, isFitdocError, throwIfAborted } from '@fitdoc/interface';

export interface RetryOptions {
  /** Tries, the first included. */
  readonly attempts: number;
  readonly signal: AbortSignal;
}

const FIRST_MS = 100;
const LONGEST_MS = 10_000;

/**
 * Tries until it works, fails for good, or the tries are used up. Waits a random time below a bound that
 * doubles from try to try, so that clients which failed together do not return together.
 */
export async function retrying<T>(
  { attempts, signal }: RetryOptions,
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal);
    try {
      return await work(attempt);
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      if (attempt >= attempts || !isFitdocError(error) || !error.retryable) throw error;
    }
    const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1));
    await sleep(Math.random() * bound, undefined, { signal }).catch(() => undefined);
  }
}
