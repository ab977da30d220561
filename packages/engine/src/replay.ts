import { throwIfAborted, type CallOptions, type PageRun } from '@fitdoc/interface';
import type { CheckpointReader } from '@fitdoc/format';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import type { BatchCache } from './batch-cache.js';
import { mapOrdered } from './ordered.js';
import type { WorkerPool } from './pool.js';
import type { ApplyResult, ApplyTask, ApplyTarget } from './tasks.js';

/** A chain that is open for reading: base first, the checkpoint in question last. */
export interface OpenChain {
  readonly links: readonly OpenLink[];
}

export interface OpenLink {
  readonly entry: CheckpointEntry;
  readonly reader: CheckpointReader;
}

/** Opens every checkpoint that `entry` stands on. Errors: CHECKPOINT_NOT_FOUND, FORMAT_*, STORE_*. */
export async function openChain(
  repository: Repository,
  entry: CheckpointEntry,
  options: CallOptions = {},
): Promise<OpenChain> {
  const entries = await repository.chain(entry);
  const links: OpenLink[] = [];
  const open = async (each: CheckpointEntry): Promise<OpenLink> => {
    throwIfAborted(options.signal);
    return { entry: each, reader: await repository.openCheckpoint(each) };
  };
  for await (const link of mapOrdered(entries, 16, open)) links.push(link);
  return { links };
}

export interface ReplayOptions extends CallOptions {
  readonly pool: WorkerPool;
  readonly cache: BatchCache;
  readonly target: ApplyTarget;
  /** Only batches that reach into this run of pages are applied. */
  readonly window: PageRun;
  /** Called for every batch, in chain order. */
  readonly onBatch?: (link: OpenLink, result: ApplyResult) => void;
}

/**
 * Applies the batches of a chain to a target. Batches of one checkpoint hold different pages and are applied
 * in parallel; a checkpoint starts when the one before it is done, because its words go on top.
 */
export async function replay(links: readonly OpenLink[], options: ReplayOptions): Promise<void> {
  const { pool, window, target, cache, signal, onBatch } = options;
  for (const link of links) {
    const apply = async (batch: number): Promise<ApplyResult> => {
      throwIfAborted(signal);
      const encoded = await cache.read(link.entry.id, link.reader, batch);
      const task: ApplyTask = { kind: 'apply', encoded, target };
      return pool.apply(task, signal);
    };
    const batches = batchesWithin(link.reader, window);
    for await (const result of mapOrdered(batches, pool.workers * 2, apply)) onBatch?.(link, result);
  }
}

function batchesWithin(reader: CheckpointReader, window: PageRun): number[] {
  const end = window.start + window.count;
  const within: number[] = [];
  reader.batches.forEach((batch, index) => {
    if (batch.firstGfn < end && batch.lastGfn >= window.start) within.push(index);
  });
  return within;
}
