import { setMaxListeners } from 'node:events';

export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Lets go of the signals that it follows. */
  unlink(): void;
}

/**
 * A signal that is aborted with the first of others. Not `AbortSignal.any`, whose signals stay with a long-lived
 * source on some versions of Node; and without Node's warning, for one call may well make many requests.
 */
export function linkSignals(...sources: readonly AbortSignal[]): LinkedSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal, ...sources);
  const links = sources.map((source) => {
    const follow = (): void => controller.abort(source.reason);
    if (source.aborted) follow();
    else source.addEventListener('abort', follow, { once: true });
    return () => source.removeEventListener('abort', follow);
  });
  return { signal: controller.signal, unlink: () => links.forEach((unlink) => unlink()) };
}
