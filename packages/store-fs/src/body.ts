import { abortError, throwIfAborted, type StoreBody } from '@fitdoc/interface';

/** Rejects when the signal is aborted, else settles as `promise` does. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
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
 * The chunks of a body. An abort ends it even while the body gives no further chunk; a body that is left
 * early is told so, without waiting for it.
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
        // Ended for a body that threw; one that still hangs is only told to return, below.
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
