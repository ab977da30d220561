import type { DirtyBitmap } from '@fitdoc/bitmap';
import { scanRuns } from '@fitdoc/bitmap';
import type { FitdocError } from '@fitdoc/interface';
import { PAGE_SIZE, throwIfAborted, type PageSink } from '@fitdoc/interface';
import { CHUNK_PAGES } from './guest-memory.js';
import type { MockGuest } from './mock-guest.js';

/** Pages that are copied before other work of the process gets its turn: some milliseconds. */
const PAGES_PER_TURN = 8192;

export interface Copy {
  readonly guest: MockGuest;
  readonly sink: PageSink;
  readonly signal: AbortSignal;
  /** Fails with this error once about half of the pages are placed. */
  readonly failHalfway?: FitdocError;
  readonly onPages?: (done: number, total: number) => void;
}

/**
 * Puts the pages of a bitmap, or all that hold anything, into the sink. Rejects with whatever the sink throws,
 * and ABORTED.
 */
export async function copyPages(copy: Copy, dirty: DirtyBitmap | 'all'): Promise<number> {
  const { guest, signal } = copy;
  const total = dirty === 'all' ? allocatedPages(guest) : dirty.count();
  let done = 0;
  let turn = 0;
  for (const { start, count } of dirty === 'all' ? nonZeroRuns(guest) : dirtyRuns(dirty)) {
    for (let gfn = start; gfn < start + count;) {
      const pages = Math.min(start + count - gfn, PAGES_PER_TURN);
      placeRun(copy, gfn, pages);
      gfn += pages;
      done += pages;
      turn += pages;
      if (copy.failHalfway && 2 * done >= total) throw copy.failHalfway;
      if (turn < PAGES_PER_TURN) continue;
      turn = 0;
      copy.onPages?.(done, total);
      await new Promise((resolve) => setImmediate(resolve));
      throwIfAborted(signal);
    }
  }
  if (copy.failHalfway) throw copy.failHalfway;
  copy.onPages?.(done, done);
  return done;
}

function placeRun({ guest, sink }: Copy, start: number, count: number): void {
  for (let gfn = start; gfn < start + count;) {
    const lent = sink.place(gfn, start + count - gfn);
    const pages = lent.length / PAGE_SIZE;
    guest.memory.copyTo(gfn, pages, lent);
    gfn += pages;
  }
}

/** Most pages that a full capture may place: progress knows no better without reading all memory twice. */
export function allocatedPages({ memory }: MockGuest): number {
  let pages = 0;
  for (const chunk of memory.allocatedChunks()) pages += pagesOf(chunk, memory.pages);
  return pages;
}

/** Runs of pages that are not zero: of the others, a full capture need not speak. */
function* nonZeroRuns({ memory }: MockGuest): Generator<{ start: number; count: number }> {
  for (const chunk of memory.allocatedChunks()) {
    const first = chunk * CHUNK_PAGES;
    const end = first + pagesOf(chunk, memory.pages);
    for (let gfn = first; gfn < end; gfn++) {
      if (memory.isZero(gfn)) continue;
      const start = gfn;
      while (gfn < end && !memory.isZero(gfn)) gfn++;
      yield { start, count: gfn - start };
    }
  }
}

function pagesOf(chunk: number, pages: number): number {
  return Math.min(CHUNK_PAGES, pages - chunk * CHUNK_PAGES);
}

function* dirtyRuns(dirty: DirtyBitmap): Generator<{ start: number; count: number }> {
  const found = new Uint32Array(8192);
  for (let from = 0; from < dirty.pages;) {
    const { written, next } = scanRuns(dirty, found, from);
    from = next;
    for (let i = 0; i < 2 * written; i += 2) {
      yield { start: found[i] as number, count: found[i + 1] as number };
    }
  }
}
