import {
  MASK_SIZE,
  MAX_BATCH_PAGES,
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type PageBatch,
} from '@fitdoc/interface';
import type { ContentItem } from '@fitdoc/format';
import { BatchCache } from './batch-cache.js';
import { baseBatch, mergedBatch, type MergedPages } from './merge-window.js';
import { mapOrdered } from './ordered.js';
import type { WorkerPool } from './pool.js';
import { replay, type OpenLink } from './replay.js';
import type { EncodeSettings } from './tasks.js';
import { DEFAULT_READ_MEMORY, occupied, windowSizes } from './windows.js';

export interface MergeOptions extends CallOptions {
  readonly pool: WorkerPool;
  readonly settings: EncodeSettings;
  /** Pages of the machine. */
  readonly pages: number;
  readonly memory?: number;
}

/**
 * The batches of one checkpoint that does what all of `links` do one after the other. When the first is a base
 * so is the result. Memory is bounded whatever the guest's size.
 */
export async function* mergedBatches(
  links: readonly OpenLink[],
  options: MergeOptions,
): AsyncGenerator<ContentItem> {
  const { pool, settings, signal } = options;
  const encode = async (batch: PageBatch): Promise<ContentItem> => {
    const encoded = await pool.encodeBatch({ kind: 'encode-batch', batch, settings }, signal);
    return { type: 'batch', encoded, gfns: batch.gfns };
  };
  yield* mapOrdered(mergedPages(links, options), pool.workers * 2, encode);
}

async function* mergedPages(links: readonly OpenLink[], options: MergeOptions): AsyncGenerator<PageBatch> {
  const { pool, pages, signal, onProgress } = options;
  const sizes = windowSizes(pages, options.memory ?? DEFAULT_READ_MEMORY);
  const windowPages = Math.min(sizes.windowPages, pages);
  const cache = new BatchCache(sizes.cacheBytes);
  const memory = new SharedArrayBuffer(windowPages * PAGE_SIZE);
  const known = new SharedArrayBuffer(windowPages * MASK_SIZE);
  const ofBase = links[0]?.entry.kind === 'base';
  for (const run of occupied(links, pages, windowPages)) {
    throwIfAborted(signal);
    const bytes = new Uint8Array(memory).fill(0);
    const masks = new Uint8Array(known).fill(0);
    const touched = new Set<number>();
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
    yield* batchesOf({ firstGfn: run.start, bytes, known: masks }, touched, ofBase);
    onProgress?.({ phase: 'merging', done: run.start + run.count, total: pages, unit: 'pages' });
  }
}

function* batchesOf(
  merged: MergedPages,
  touched: ReadonlySet<number>,
  ofBase: boolean,
): Generator<PageBatch> {
  const gfns = Uint32Array.from(touched).sort();
  for (let from = 0; from < gfns.length; from += MAX_BATCH_PAGES) {
    const some = gfns.slice(from, from + MAX_BATCH_PAGES);
    const batch = ofBase ? baseBatch(merged, some) : mergedBatch(merged, some);
    if (batch.gfns.length > 0) yield batch;
  }
}
