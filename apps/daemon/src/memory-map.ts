import { throwIfAborted, totalPages } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import type { MemoryMap } from './model.js';

/** Batches that are read and decoded for one map; more would keep checkpoints waiting. */
const MOST_BATCHES_READ = 64;

/** Counts a checkpoint's changed pages in at most `bins` stretches of memory. Errors: those of reading it. */
export async function memoryMapOf(
  repository: Repository,
  entry: CheckpointEntry,
  bins: number,
  signal: AbortSignal,
): Promise<MemoryMap> {
  const reader = await repository.openCheckpoint(entry, { signal });
  const { regions } = reader.header.machine;
  const pages = totalPages(regions);
  const pagesPerBin = Math.max(1, Math.ceil(pages / bins));
  const counts = new Array<number>(Math.ceil(pages / pagesPerBin)).fill(0);
  const partial = reader.batches.filter((batch) => batch.pages < span(batch));
  const exact = partial.length <= MOST_BATCHES_READ;
  for (const [number, batch] of reader.batches.entries()) {
    if (batch.pages === span(batch) || !exact) {
      addSpread(counts, pagesPerBin, batch);
      continue;
    }
    const { gfns } = await reader.readBatch(number, { signal });
    for (const gfn of gfns) {
      const bin = Math.floor(gfn / pagesPerBin);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    // Decoding is work of this thread: others get their turn between two batches.
    await new Promise((resolve) => setImmediate(resolve));
    throwIfAborted(signal);
  }
  return {
    checkpoint: entry.id,
    sequence: entry.sequence,
    kind: entry.kind,
    pages,
    pagesPerBin,
    bins: counts,
    exact,
    regions: regions.map(({ name, kind, firstGfn, pages: count }) => ({
      name,
      kind,
      firstGfn,
      pages: count,
    })),
  };
}

interface Span {
  readonly firstGfn: number;
  readonly lastGfn: number;
  readonly pages: number;
}

function span({ firstGfn, lastGfn }: Span): number {
  return lastGfn - firstGfn + 1;
}

/** Spreads a batch's pages evenly over its span, whole pages with no page lost. */
function addSpread(counts: number[], pagesPerBin: number, batch: Span): void {
  const { firstGfn, lastGfn, pages } = batch;
  let placed = 0;
  for (let from = firstGfn; from <= lastGfn;) {
    const bin = Math.floor(from / pagesPerBin);
    const end = Math.min(lastGfn + 1, (bin + 1) * pagesPerBin);
    const soFar = Math.round((pages * (end - firstGfn)) / span(batch));
    counts[bin] = (counts[bin] ?? 0) + soFar - placed;
    placed = soFar;
    from = end;
  }
}
