/**
 * Runs `work` with a signal that is aborted when any of `sources` is, and is let go of afterwards. Not
 * AbortSignal.any: a source that lives as long as the daemon would remember every signal made from it.
 */
export async function withLinkedSignal<Result>(
  sources: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const own = new AbortController();
  const unlink = sources.map((source) => {
    const abort = (): void => own.abort(source.reason);
    if (source.aborted) abort();
    source.addEventListener('abort', abort, { once: true });
    return () => source.removeEventListener('abort', abort);
  });
  try {
    return await work(own.signal);
  } finally {
    for (const each of unlink) each();
  }
}
