import { MAX_BATCH_PAGES } from '@fitdoc/interface';
import type { MemoryImage } from '@fitdoc/diff';
import type { ContentItem } from '@fitdoc/format';
import type { ChainDepth } from './chain-depth.js';
import { mapOrdered } from '../workers/ordered.js';
import type { WorkerPool } from '../workers/pool.js';
import type { EncodeResult, EncodeSettings } from '../workers/tasks.js';

export interface EncodePendingOptions {
  readonly image: MemoryImage;
  readonly pool: WorkerPool;
  readonly depth: ChainDepth;
  readonly settings: EncodeSettings;
  readonly signal: AbortSignal | undefined;
  /** Called with every batch in the order in which it goes out. */
  readonly onBatch: (result: EncodeResult) => void;
}

/** The pending changes of an image as the batches of a checkpoint, encoded on all workers, in gfn order. */
export async function* encodePending(options: EncodePendingOptions): AsyncGenerator<ContentItem> {
  const { image, pool, depth, settings, signal, onBatch } = options;
  const pending = image.pending();
  const handle = image.handle();
  const encode = (gfns: Uint32Array): Promise<EncodeResult> =>
    pool.encode(
      { kind: 'encode', image: handle, gfns, forceWhole: depth.wholeFlags(gfns), settings },
      signal,
    );
  for await (const result of mapOrdered(slices(pending), pool.workers * 2, encode)) {
    onBatch(result);
    if (result.gfns.length > 0) yield { type: 'batch', encoded: result.encoded, gfns: result.gfns };
  }
}

function* slices(gfns: Uint32Array): Generator<Uint32Array> {
  for (let from = 0; from < gfns.length; from += MAX_BATCH_PAGES) {
    yield gfns.slice(from, from + MAX_BATCH_PAGES);
  }
}
