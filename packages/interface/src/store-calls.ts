import { abortError, FitdocError, throwIfAborted } from './errors.js';
import type { ByteRange, StoreBody } from './store.js';

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** For stores: throws ARGUMENT_INVALID unless `key` is one that the store port allows. */
export function checkKey(key: string): void {
  const good = key.length <= 512 && key.split('/').every((segment) => SEGMENT.test(segment));
  if (good && !key.includes('\n')) return;
  throw new FitdocError('ARGUMENT_INVALID', `Not a key for an object: ${JSON.stringify(key.slice(0, 80))}.`, {
    hint: 'A key has 1 to 512 characters of A-Z a-z 0-9 . _ - and /; no segment is empty or starts with a dot.',
  });
}

/** For stores: throws ARGUMENT_INVALID unless the range's numbers are whole and not negative. */
export function checkRange({ offset, length }: ByteRange): void {
  const whole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  if (whole(offset) && whole(length)) return;
  throw new FitdocError('ARGUMENT_INVALID', `Not a range of bytes: ${length} from ${offset}.`, {
    hint: 'Offset and length are whole numbers, not negative.',
  });
}

const BEGINNING = /^[A-Za-z0-9._/-]{0,512}$/;

/** For stores: throws ARGUMENT_INVALID unless `startAfter` is made of what keys are made of. */
export function checkStartAfter(startAfter: string | undefined): void {
  if (startAfter === undefined || (BEGINNING.test(startAfter) && !startAfter.endsWith('\n'))) return;
  throw new FitdocError('ARGUMENT_INVALID', `No key begins so: ${JSON.stringify(startAfter.slice(0, 80))}.`, {
    hint: 'A listing starts after a key, or after the beginning of one.',
  });
}

/** Settles as `promise` does, or rejects as soon as the signal is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  throwIfAborted(signal);
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * For stores: the chunks of a body. An abort ends it even while the body gives no further chunk; a body that
 * is left early is told so, without waiting for it.
 */
export async function* bodyChunks(body: StoreBody, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  throwIfAborted(signal);
  if (body instanceof Uint8Array) {
    yield body;
    return;
  }
  const iterator = body[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = iterator.next();
      const step = await unlessAborted(next, signal).catch((error: unknown) => {
        // A body that threw has ended; one that still hangs is only told to return, below.
        next.catch(() => undefined);
        throw error;
      });
      if (step.done) {
        ended = true;
        return;
      }
      yield step.value;
    }
  } finally {
    if (!ended) void iterator.return?.().catch(() => undefined);
  }
}
