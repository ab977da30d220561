import type { PageRun } from '@fitdoc/interface';
import type { PageLink } from '../replay.js';

/** Pages that are rebuilt together: they need at most one batch of the base. */
export interface Stretch {
  readonly start: number;
  /** The page behind the last. */
  readonly end: number;
  /** The batch of the base that holds its pages, or undefined where the base has none. */
  readonly batch: number | undefined;
}

/** A batch of few pages may span the whole guest: more than this is not rebuilt for the sake of one page. */
const MOST_PAGES = 4096;
/** Where only increments have pages. */
const GAP_PAGES = 1024;

/** The stretch around a page, by the base's index alone. `pages`: of the machine. */
export function stretchAround({ reader }: PageLink, gfn: number, pages: number): Stretch {
  const { batches } = reader;
  const number = lastFrom(batches, gfn);
  const batch = batches[number];
  if (batch && gfn <= batch.lastGfn)
    return { ...piece(batch.firstGfn, batch.lastGfn + 1, gfn, MOST_PAGES), batch: number };
  const start = batch ? batch.lastGfn + 1 : 0;
  const end = batches[number + 1]?.firstGfn ?? pages;
  return { ...piece(start, end, gfn, GAP_PAGES), batch: undefined };
}

function piece(start: number, end: number, gfn: number, most: number): { start: number; end: number } {
  const from = start + Math.floor((gfn - start) / most) * most;
  return { start: from, end: Math.min(from + most, end) };
}

/** Index of the last batch that begins at `gfn` or before; -1: none does. */
function lastFrom(batches: readonly { readonly firstGfn: number }[], gfn: number): number {
  let [low, high] = [0, batches.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batches[middle]!.firstGfn <= gfn) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The runs of pages that any batch of a chain spans, ascending and disjoint. */
export function storedRuns(links: readonly PageLink[]): PageRun[] {
  const spans = links.flatMap(({ reader }) => reader.batches);
  const runs: { start: number; count: number }[] = [];
  for (const { firstGfn, lastGfn } of [...spans].sort((a, b) => a.firstGfn - b.firstGfn)) {
    const last = runs.at(-1);
    if (last && firstGfn <= last.start + last.count)
      last.count = Math.max(last.count, lastGfn + 1 - last.start);
    else runs.push({ start: firstGfn, count: lastGfn + 1 - firstGfn });
  }
  return runs;
}
