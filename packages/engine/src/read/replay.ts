import { nameObject } from './name-object.js';
import { throwIfAborted, type CallOptions, type PageRun } from '@fitdoc/interface';
import type { CheckpointReader, PageSpace } from '@fitdoc/format';
import type { CheckpointEntry, OpenCheckpointOptions, Repository } from '@fitdoc/repository';
import type { BatchCache } from './batch-cache.js';
import { mapOrdered } from '../workers/ordered.js';
import type { WorkerCalls } from '../workers/pool.js';
import type { ApplyResult, ApplyTarget } from '../workers/tasks.js';

/** A chain that is open for reading: base first, the checkpoint in question last. */
export interface OpenChain {
  readonly links: readonly OpenLink[];
}

export interface OpenLink {
  readonly entry: CheckpointEntry;
  readonly reader: CheckpointReader;
}

/** What of a checkpoint a replay reads: batches of one numbering of pages, the memory's or that of a span of a disk. */
export interface PageLink {
  readonly entry: CheckpointEntry;
  readonly reader: PageSpace;
}

/** Opens every checkpoint that `entry` stands on. Errors: CHECKPOINT_NOT_FOUND, FORMAT_*, STORE_*. */
export async function openChain(
  repository: Repository,
  entry: CheckpointEntry,
  options: CallOptions = {},
): Promise<OpenChain> {
  return { links: await openLinks(repository, await repository.chain(entry), options) };
}

/** Objects that are opened at a time: all of most chains, so that a store that is far is waited for once. */
const OPEN_AT_ONCE = 32;

/** Opens the objects of a chain. */
export async function openLinks(
  repository: Repository,
  chain: readonly CheckpointEntry[],
  options: OpenCheckpointOptions = {},
): Promise<OpenLink[]> {
  const { signal, integrity } = options;
  const links: OpenLink[] = [];
  const open = async (each: CheckpointEntry): Promise<OpenLink> => {
    throwIfAborted(signal);
    const reader = await repository
      .openCheckpoint(each, integrity ? { integrity } : {})
      .catch(nameObject([each]));
    return { entry: each, reader };
  };
  for await (const link of mapOrdered(chain, OPEN_AT_ONCE, open)) links.push(link);
  return links;
}

export interface ReplayOptions extends CallOptions {
  readonly pool: WorkerCalls;
  readonly cache: BatchCache;
  readonly target: ApplyTarget;
  /** Only batches that reach into this run of pages are applied. */
  readonly window: PageRun;
  /** Called for every batch, in chain order. */
  readonly onBatch?: (link: PageLink, result: ApplyResult) => void;
}

/**
 * Applies the batches of a chain to a target. Batches of one checkpoint hold different pages and are applied
 * in parallel; what comes after them waits until they are done, because its words go on top. Checkpoints of few
 * batches, as most increments are, are applied one after the other by one worker, in one go: a round trip for
 * each of them would take longer than their work.
 */
export async function replay(links: readonly PageLink[], options: ReplayOptions): Promise<void> {
  const { pool, window, target, cache, signal, onBatch } = options;
  const apply = async (parts: readonly Part[]): Promise<() => void> => {
    throwIfAborted(signal);
    const encoded: Uint8Array[] = [];
    for (const { link, batch } of parts) {
      encoded.push(await cache.read(link.entry.key, link.reader, batch).catch(nameObject([link.entry])));
    }
    const results = await pool
      .apply({ kind: 'apply', encoded, target }, signal)
      .catch(nameObject(parts.map(({ link }) => link.entry)));
    return () => {
      results.forEach((result, index) => onBatch?.((parts[index] as Part).link, result));
    };
  };
  for (const stage of stages(links, window)) {
    for await (const tell of mapOrdered(stage, pool.workers * 2, apply)) tell();
  }
}

interface Part {
  readonly link: PageLink;
  /** The batch's number in its checkpoint. */
  readonly batch: number;
}

/** Checkpoints with more batches than this are applied by several workers. */
const FEW_BATCHES = 4;
/** Most bytes of encoded batches that one worker gets at a time. */
const MOST_BYTES = 16 << 20;

/** Tasks that may run at the same time, stage after stage; each task is a list of batches in their order. */
function* stages(links: readonly PageLink[], window: PageRun): Generator<Part[][]> {
  let together: Part[] = [];
  let bytes = 0;
  for (const link of links) {
    const parts = batchesWithin(link.reader, window).map((batch) => ({ link, batch }));
    const size = parts.reduce((sum, { batch }) => sum + (link.reader.batches[batch]?.length ?? 0), 0);
    const many = parts.length > FEW_BATCHES;
    if (together.length > 0 && (many || bytes + size > MOST_BYTES)) {
      yield [together];
      together = [];
      bytes = 0;
    }
    if (many) yield parts.map((part) => [part]);
    else {
      together.push(...parts);
      bytes += size;
    }
  }
  if (together.length > 0) yield [together];
}

function batchesWithin(reader: PageSpace, window: PageRun): number[] {
  const end = window.start + window.count;
  const within: number[] = [];
  reader.batches.forEach((batch, index) => {
    if (batch.firstGfn < end && batch.lastGfn >= window.start) within.push(index);
  });
  return within;
}
