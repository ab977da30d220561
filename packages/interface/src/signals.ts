import { FitdocError } from './errors.js';

export interface LinkedSignal {
  /** Aborted with the first of its sources, and for that one's reason. */
  readonly signal: AbortSignal;
  /** Lets go of the sources. */
  unlink(): void;
}

/**
 * Links signals. Not `AbortSignal.any`: Node.js 20 collects an `AbortSignal.timeout` that only such a signal
 * listens to, and what waits for it then waits for ever; and a source that lives long remembers every signal
 * that was made from it. Those that are undefined are left out.
 */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const links: (() => void)[] = [];
  for (const source of sources) {
    if (source === undefined) continue;
    const follow = (): void => controller.abort(source.reason);
    if (source.aborted) follow();
    source.addEventListener('abort', follow, { once: true });
    links.push(() => source.removeEventListener('abort', follow));
  }
  return { signal: controller.signal, unlink: () => links.forEach((unlink) => unlink()) };
}

/** Runs `work` with a signal that is aborted when any of `sources` is, and is let go of afterwards. */
export async function withLinkedSignal<Result>(
  sources: readonly (AbortSignal | undefined)[],
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const linked = linkSignals(...sources);
  try {
    return await work(linked.signal);
  } finally {
    linked.unlink();
  }
}

/** Runs `work` with a signal that is aborted when `signal` is, or after `ms` milliseconds with ABORTED. */
export async function withPatience<Result>(
  signal: AbortSignal | undefined,
  ms: number,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(new FitdocError('ABORTED', `It took over ${ms} ms.`)), ms);
  try {
    return await withLinkedSignal([signal, patience.signal], work);
  } finally {
    clearTimeout(timer);
  }
}
