import type { PageRun } from '@fitdoc/interface';
import { MAX_BATCH_PAGES } from '@fitdoc/interface';
import type { PageLink } from '../replay.js';

/** A part of the guest's memory that one worker rebuilds at a time. */
export interface Unit {
  readonly start: number;
  /** The page behind the last. */
  readonly end: number;
  /** The batch of the base that holds its pages, or undefined where the base has none. */
  readonly batch: number | undefined;
}

/**
 * Cuts `run` so that every unit needs one batch of the base and holds at most 2048 pages: those of the batch,
 * and at most 1024 of `layered` (ascending), which are pages that layers have.
 */
export function* planUnits(base: PageLink, layered: Uint32Array, run: PageRun): Generator<Unit> {
  const end = run.start + run.count;
  const { batches } = base.reader;
  let at = run.start;
  for (let batch = 0; batch <= batches.length && at < end; batch++) {
    const next = batches[batch + 1]?.firstGfn ?? Number.POSITIVE_INFINITY;
    // The first batch answers for the pages before it, too.
    if (next <= at) continue;
    const until = Math.min(next, end);
    for (const cut of cuts(layered, at, until)) {
      yield { start: at, end: cut, batch: batch < batches.length ? batch : undefined };
      at = cut;
    }
  }
}

/** Where to end units between `start` and `end` so that none has more layered pages than a batch. */
function* cuts(layered: Uint32Array, start: number, end: number): Generator<number> {
  for (
    let index = lowerBound(layered, start) + MAX_BATCH_PAGES;
    index < layered.length;
    index += MAX_BATCH_PAGES
  ) {
    if (layered[index]! >= end) break;
    yield layered[index]!;
  }
  yield end;
}

function lowerBound(gfns: Uint32Array, gfn: number): number {
  let low = 0;
  let high = gfns.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (gfns[middle]! < gfn) low = middle + 1;
    else high = middle;
  }
  return low;
}
