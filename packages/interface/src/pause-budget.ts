import { abortError, FitdocError, throwIfAborted } from './errors.js';

/** A bound for the time in which a guest stands for a capture. */
export interface PauseBudget {
  /** Milliseconds. */
  readonly maxMs: number;
  /** How long to look for a moment at which the pause is expected to be within it, milliseconds. */
  readonly waitMs: number;
  /** When there was none: reject (`MACHINE_BUSY`, retryable, `details.pauseBudget`), or let the pause be longer. */
  readonly otherwise: 'refuse' | 'exceed';
}

/** What became of a budget. */
export interface PauseBudgetOutcome {
  readonly maxMs: number;
  /** What the pause was expected to be, as far as it could be told. */
  readonly estimatedMs?: number;
  /** Milliseconds by which the capture was put off. */
  readonly waitedMs: number;
  /** Whether the pause was within it in the end. */
  readonly kept: boolean;
}

/** Pauses that a forecast stands on: enough to average, few enough to follow a host that changes. */
const REMEMBERED = 16;

/**
 * For adapters: what the next pause will be, by the last ones: a fixed part and one for each page, neither below zero,
 * fitted by least squares, and the root mean square by which pauses missed that.
 */
export class PauseForecast {
  readonly #pauses: { readonly pages: number; readonly ms: number }[] = [];

  /** Notes a pause in which so many pages were taken. */
  learn(pages: number, ms: number): void {
    this.#pauses.push({ pages, ms });
    if (this.#pauses.length > REMEMBERED) this.#pauses.shift();
  }

  /** Milliseconds that a pause with so many pages is expected to take; undefined before anything was learnt. */
  estimate(pages: number): number | undefined {
    const pauses = this.#pauses;
    if (pauses.length === 0) return undefined;
    const mean = (of: (pause: { pages: number; ms: number }) => number): number =>
      pauses.reduce((sum, pause) => sum + of(pause), 0) / pauses.length;
    const [pagesMean, msMean] = [mean((pause) => pause.pages), mean((pause) => pause.ms)];
    const variance = mean((pause) => (pause.pages - pagesMean) ** 2);
    const common = mean((pause) => (pause.pages - pagesMean) * (pause.ms - msMean));
    const steep = variance > 0 ? Math.max(0, common / variance) : Infinity;
    const fixed = msMean - steep * pagesMean;
    // No pause takes less than nothing: where the line would, and where no spread of pages tells, it goes through zero,
    // which is the careful way for more of them.
    const squares = mean((pause) => pause.pages ** 2);
    const throughZero = squares > 0 ? mean((pause) => pause.pages * pause.ms) / squares : msMean;
    const at = (count: number): number => (fixed >= 0 ? fixed + steep * count : throughZero * count);
    return at(pages) + Math.sqrt(mean((pause) => (pause.ms - at(pause.pages)) ** 2));
  }
}

/**
 * For adapters: waits until `estimate` is within the budget. Gives the last estimate and the time that passed.
 * Errors: MACHINE_BUSY when the budget says so, ABORTED.
 */
export async function waitForBudget(
  budget: PauseBudget,
  estimate: () => number | undefined | Promise<number | undefined>,
  signal: AbortSignal,
): Promise<Omit<PauseBudgetOutcome, 'kept'>> {
  const start = performance.now();
  for (;;) {
    throwIfAborted(signal);
    const estimatedMs = await estimate();
    const waitedMs = performance.now() - start;
    const fits = estimatedMs === undefined || estimatedMs <= budget.maxMs;
    if (!fits && waitedMs >= budget.waitMs && budget.otherwise === 'refuse')
      throw overPauseBudget(budget, estimatedMs);
    if (fits || waitedMs >= budget.waitMs)
      return { maxMs: budget.maxMs, waitedMs, ...(estimatedMs !== undefined && { estimatedMs }) };
    await pauseFor(Math.min(20, budget.waitMs - waitedMs), signal);
  }
}

/** The error of a capture that is refused for its budget. */
export function overPauseBudget(
  { maxMs, waitMs }: PauseBudget,
  estimatedMs: number | undefined,
): FitdocError {
  const expected = estimatedMs === undefined ? 'longer' : `${estimatedMs.toFixed(1)} ms`;
  return new FitdocError(
    'MACHINE_BUSY',
    `The pause would have been ${expected}, over the budget of ${maxMs} ms, for all of ${waitMs} ms.`,
    {
      hint: 'The guest ran on, and the next checkpoint has all of it. Raise the budget, wait longer, or let it be exceeded.',
      retryable: true,
      details: { pauseBudget: true, maxMs, ...(estimatedMs !== undefined && { estimatedMs }) },
    },
  );
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(abortError(signal));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
