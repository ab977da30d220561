import {
  MASK_SIZE,
  MAX_BATCH_PAGES,
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type PageRun,
} from '@fitdoc/interface';
import type { ContentItem } from '@fitdoc/format';
import { BatchCache } from '../read/batch-cache.js';
import { mapOrdered } from '../workers/ordered.js';
import type { WorkerCalls } from '../workers/pool.js';
import { replay, type PageLink } from '../read/replay.js';
import type { EncodeSettings, MergeResult } from '../workers/tasks.js';
import { DEFAULT_READ_MEMORY, occupied, windowSizes } from '../read/windows.js';

export interface MergeOptions extends CallOptions {
  readonly pool: WorkerCalls;
  readonly settings: EncodeSettings;
  /** Pages of the machine. */
  readonly pages: number;
  readonly memory?: number;
  /** Whether the result stands on zeros, so that zeros need not be said. Default: whether the first is a base. */
  readonly overZeros?: boolean;
  /** Awaited before so many bytes of encoded batches are read. */
  readonly beforeRead?: (bytes: number) => Promise<void>;
}

export type BatchItem = Extract<ContentItem, { type: 'batch' }>;

/**
 * The batches of one checkpoint that does what all of `links` do one after the other. When the first is a base
 * so is the result. Memory is bounded whatever the guest's size.
 */
export async function* mergedBatches(
  links: readonly PageLink[],
  options: MergeOptions,
): AsyncGenerator<BatchItem> {
  const { pool, pages, signal, onProgress } = options;
  const sizes = windowSizes(pages, options.memory ?? DEFAULT_READ_MEMORY);
  const windowPages = Math.min(sizes.windowPages, pages);
  const cache = new BatchCache(sizes.cacheBytes);
  const memory = new SharedArrayBuffer(windowPages * PAGE_SIZE);
  const known = new SharedArrayBuffer(windowPages * MASK_SIZE);
  const ofBase = options.overZeros ?? links[0]?.entry.kind === 'base';
  for (const run of occupied(links, pages, windowPages)) {
    throwIfAborted(signal);
    const touched = new Set<number>();
    await options.beforeRead?.(bytesWithin(links, run));
    await replay(links, {
      pool,
      cache,
      target: { kind: 'window', memory, known, firstGfn: run.start, pages: run.count },
      window: run,
      ...(signal && { signal }),
      onBatch: (_link, { gfns }) => {
        for (const gfn of gfns) if (gfn >= run.start && gfn < run.start + run.count) touched.add(gfn);
      },
    });
    const merge = (gfns: Uint32Array): Promise<MergeResult> =>
      pool.merge(
        { kind: 'merge', memory, known, firstGfn: run.start, gfns, ofBase, settings: options.settings },
        signal,
      );
    // The workers leave the window as they found it: zero.
    for await (const batch of mapOrdered(slices(touched), pool.workers * 2, merge)) {
      if (batch) yield { type: 'batch', ...batch };
    }
    onProgress?.({ phase: 'merging', done: run.start + run.count, total: pages, unit: 'pages' });
  }
}

function bytesWithin(links: readonly PageLink[], run: PageRun): number {
  const end = run.start + run.count;
  const within = links.flatMap(({ reader }) =>
    reader.batches.filter(({ firstGfn, lastGfn }) => firstGfn < end && lastGfn >= run.start),
  );
  return within.reduce((sum, { length }) => sum + length, 0);
}

function* slices(touched: ReadonlySet<number>): Generator<Uint32Array> {
  const gfns = Uint32Array.from(touched).sort();
  for (let from = 0; from < gfns.length; from += MAX_BATCH_PAGES) {
    yield gfns.slice(from, from + MAX_BATCH_PAGES);
  }
}
