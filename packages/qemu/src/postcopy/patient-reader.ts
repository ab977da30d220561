import { setTimeout as sleep } from 'node:timers/promises';
import {
  isFitdocError,
  throwIfAborted,
  type FitdocError,
  type PageExtent,
  type PageRun,
  type RandomPages,
} from '@fitdoc/interface';

/** Pages that cannot be read, and why. */
export interface Unreadable {
  readonly run: PageRun;
  readonly error: FitdocError;
}

export interface PatientOptions {
  readonly signal: AbortSignal;
  /** A failure that may pass: it is tried again for as long as it lasts, as the guest can only wait. */
  readonly onTrouble?: ((error: FitdocError) => void) | undefined;
}

const FIRST_WAIT_MS = 50;
const MOST_WAIT_MS = 2000;
/** Damage is told apart down to so many pages. */
const SMALLEST = 32;

/** Reads a run; a store that does not answer is asked again until it does. Errors: what does not pass with time. */
export async function readPatiently(
  pages: RandomPages,
  { start, count }: PageRun,
  { signal, onTrouble }: PatientOptions,
): Promise<readonly PageExtent[]> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, MOST_WAIT_MS)) {
    try {
      return await pages.read(start, count, { signal });
    } catch (error) {
      throwIfAborted(signal);
      if (!isFitdocError(error) || !error.retryable) throw error;
      onTrouble?.(error);
      await sleep(wait, undefined, { signal }).catch(() => throwIfAborted(signal));
    }
  }
}

/** Reads what of a run can be read, and says what cannot. */
export async function readAround(
  pages: RandomPages,
  run: PageRun,
  options: PatientOptions,
): Promise<{ readonly extents: readonly PageExtent[]; readonly unreadable: readonly Unreadable[] }> {
  try {
    return { extents: await readPatiently(pages, run, options), unreadable: [] };
  } catch (error) {
    throwIfAborted(options.signal);
    if (!isFitdocError(error)) throw error;
    if (run.count <= SMALLEST) return { extents: [], unreadable: [{ run, error }] };
    const half = Math.ceil(run.count / 2);
    const low = await readAround(pages, { start: run.start, count: half }, options);
    const high = await readAround(pages, { start: run.start + half, count: run.count - half }, options);
    return {
      extents: [...low.extents, ...high.extents],
      unreadable: [...low.unreadable, ...high.unreadable],
    };
  }
}
