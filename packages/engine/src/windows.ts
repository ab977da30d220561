import { DirtyBitmap } from '@fitdoc/bitmap';
import { PAGE_SIZE, type CallOptions, type PageRun } from '@fitdoc/interface';
import { BatchCache } from './batch-cache.js';
import type { WorkerPool } from './pool.js';
import { replay, type OpenLink } from './replay.js';

/** How much memory reading a chain may take, whatever the guest's size. */
export const DEFAULT_READ_MEMORY = 2 ** 30;

/** Least window: below it, batches would be decoded more often than memory is worth. */
const MIN_WINDOW_PAGES = 4096;

export interface WindowOptions extends CallOptions {
  readonly pool: WorkerPool;
  /** Pages of the machine. */
  readonly pages: number;
  /** Bytes for window and batches together. */
  readonly memory?: number;
}

/** A part of the guest's memory, rebuilt. */
export interface Window {
  readonly run: PageRun;
  /** The pages of `run`; valid until the next window is asked for. */
  readonly bytes: Uint8Array;
  /** One bit a page of `run`: set where any batch had the page. All others are zero. */
  readonly touched: DirtyBitmap;
}

/** Rebuilds the memory that a chain describes, window after window; windows without any page are left out. */
export async function* windows(links: readonly OpenLink[], options: WindowOptions): AsyncGenerator<Window> {
  const { pages, pool, signal } = options;
  const sizes = windowSizes(pages, options.memory ?? DEFAULT_READ_MEMORY);
  const cache = new BatchCache(sizes.cacheBytes);
  const memory = new SharedArrayBuffer(Math.min(sizes.windowPages, pages) * PAGE_SIZE);
  const bytes = new Uint8Array(memory);
  for (const run of occupied(links, pages, sizes.windowPages)) {
    const touched = new DirtyBitmap(run.count);
    await replay(links, {
      pool,
      cache,
      target: { kind: 'window', memory, firstGfn: run.start, pages: run.count },
      window: run,
      ...(signal && { signal }),
      onBatch: (_link, batch) => touch(touched, run, batch.gfns),
    });
    yield { run, bytes: bytes.subarray(0, run.count * PAGE_SIZE), touched };
    // Only what was written is cleared: most windows of a sparse guest are nearly empty.
    for (const each of touched.runs()) {
      bytes.fill(0, each.start * PAGE_SIZE, (each.start + each.count) * PAGE_SIZE);
    }
  }
}

export function windowSizes(pages: number, memory: number): { windowPages: number; cacheBytes: number } {
  const windowPages = Math.max(MIN_WINDOW_PAGES, Math.floor((memory * 3) / 4 / PAGE_SIZE));
  return { windowPages: Math.min(windowPages, Math.max(pages, 1)), cacheBytes: Math.floor(memory / 4) };
}

/** The windows of `windowPages` pages into which at least one batch reaches. */
export function occupied(links: readonly OpenLink[], pages: number, windowPages: number): PageRun[] {
  const hit = new Set<number>();
  for (const { reader } of links) {
    for (const { firstGfn, lastGfn } of reader.batches) {
      const last = Math.floor(lastGfn / windowPages);
      for (let window = Math.floor(firstGfn / windowPages); window <= last; window++) hit.add(window);
    }
  }
  return [...hit]
    .sort((a, b) => a - b)
    .map((window) => {
      const start = window * windowPages;
      return { start, count: Math.min(windowPages, pages - start) };
    });
}

function touch(touched: DirtyBitmap, run: PageRun, gfns: Uint32Array): void {
  for (const gfn of gfns) {
    const index = gfn - run.start;
    if (index >= 0 && index < run.count) touched.set(index);
  }
}
