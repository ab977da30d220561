import { DirtyBitmap } from '@fitdoc/bitmap';
import { PAGE_SIZE, type CallOptions, type PageRun } from '@fitdoc/interface';
import { BatchCache } from './batch-cache.js';
import type { WorkerCalls } from '../workers/pool.js';
import { replay, type PageLink } from './replay.js';

/** How much memory reading a chain may take, whatever the guest's size. */
export const DEFAULT_READ_MEMORY = 2 ** 30;

/** Least window: below it, batches would be decoded more often than memory is worth. */
const MIN_WINDOW_PAGES = 4096;

export interface WindowOptions extends CallOptions {
  readonly pool: WorkerCalls;
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

/** Windows that a guest is split into at least, so that one can be used while the next is rebuilt. */
const LEAST_WINDOWS = 3;

/**
 * Rebuilds the memory that a chain describes, window after window; windows without any page are left out. While
 * one is used, the next is rebuilt.
 */
export async function* windows(links: readonly PageLink[], options: WindowOptions): AsyncGenerator<Window> {
  const { pages, pool, signal } = options;
  const memory = options.memory ?? DEFAULT_READ_MEMORY;
  const windowPages = pairedWindowPages(pages, memory);
  const runs = occupied(links, pages, windowPages);
  const cache = new BatchCache(Math.floor(memory / 4));
  const memories = runs.slice(0, 2).map(() => new SharedArrayBuffer(windowPages * PAGE_SIZE));
  const rebuild = async (index: number): Promise<Window | undefined> => {
    const [run, target] = [runs[index], memories[index % 2]];
    if (!run || !target) return undefined;
    const touched = new DirtyBitmap(run.count);
    await replay(links, {
      pool,
      cache,
      target: { kind: 'window', memory: target, firstGfn: run.start, pages: run.count },
      window: run,
      ...(signal && { signal }),
      onBatch: (_link, batch) => touch(touched, run, batch.gfns),
    });
    return { run, bytes: new Uint8Array(target, 0, run.count * PAGE_SIZE), touched };
  };
  let ahead = rebuild(0);
  try {
    for (let index = 1; ; index++) {
      const window = await ahead;
      if (!window) return;
      ahead = rebuild(index);
      // Its failure surfaces when its turn comes; until then it must not count as unhandled.
      ahead.catch(() => undefined);
      yield window;
      // Its memory is needed again by the window after the next, if there is one.
      if (index + 1 < runs.length) clear(window);
    }
  } finally {
    // Workers write into memory of ours until then.
    await ahead.catch(() => undefined);
  }
}

/** Only what was written is cleared: most windows of a sparse guest are nearly empty. */
function clear({ bytes, touched }: Window): void {
  for (const { start, count } of touched.runs())
    bytes.fill(0, start * PAGE_SIZE, (start + count) * PAGE_SIZE);
}

function pairedWindowPages(pages: number, memory: number): number {
  const most = Math.floor(windowSizes(pages, memory / 2).windowPages);
  return Math.min(most, Math.max(MIN_WINDOW_PAGES, Math.ceil(pages / LEAST_WINDOWS)));
}

export function windowSizes(pages: number, memory: number): { windowPages: number; cacheBytes: number } {
  const windowPages = Math.max(MIN_WINDOW_PAGES, Math.floor((memory * 3) / 4 / PAGE_SIZE));
  return { windowPages: Math.min(windowPages, Math.max(pages, 1)), cacheBytes: Math.floor(memory / 4) };
}

/** The windows of `windowPages` pages into which at least one batch reaches. */
export function occupied(links: readonly PageLink[], pages: number, windowPages: number): PageRun[] {
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
