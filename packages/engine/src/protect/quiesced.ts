import type { QuiesceOutcome } from '@fitdoc/interface';

export function quiesceNotes(outcome: QuiesceOutcome | undefined): string[] {
  return outcome?.failure === undefined ? [] : [`file systems were not frozen: ${outcome.failure}`];
}

/** As a checkpoint's metrics keep it. */
export function quiesceMetrics(outcome: QuiesceOutcome | undefined): Record<string, number | string> {
  if (outcome === undefined) return {};
  const { frozenMs, failure } = outcome;
  return failure === undefined ? { frozenMs: Math.round(frozenMs) } : { frozenFailure: failure };
}
