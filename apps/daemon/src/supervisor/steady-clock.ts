import { performance } from 'node:perf_hooks';

/** Milliseconds of a clock that nobody sets: what is due, waited for and measured goes by it and not by the wall clock. */
export function steadyNow(): number {
  return performance.now();
}
