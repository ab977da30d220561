import { FitdocError, throwIfAborted } from '@fitdoc/interface';

interface Bounds {
  /** The caller's. */
  readonly signal: AbortSignal;
  /** Aborted when QEMU is. */
  readonly gone: AbortSignal;
  /** Our own patience, which `call` heeds, milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Turns the end of our own patience into an error of its own, CAPTURE_FAILED that says `what` did not happen; an abort by
 * the caller stays one, and so does QEMU's end.
 */
export async function inTime<Value>(
  call: Promise<Value>,
  { signal, gone, timeoutMs }: Bounds,
  what: string,
): Promise<Value> {
  return call.catch((error: unknown) => {
    throwIfAborted(signal);
    throwIfAborted(gone);
    if (!(error instanceof FitdocError) || error.code !== 'ABORTED') throw error;
    throw new FitdocError('CAPTURE_FAILED', `${what} within ${timeoutMs} ms.`, {
      cause: error,
      hint: 'The host may be overloaded; raise timeoutMs. The next capture starts over with a full one.',
      retryable: true,
    });
  });
}
