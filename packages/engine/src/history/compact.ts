import { FitdocError, totalPages, type CallOptions, type DeviceState } from '@fitdoc/interface';
import type { ContentItem } from '@fitdoc/format';
import type { CheckpointEntry, ReplaceReport, Repository, RetentionPolicy } from '@fitdoc/repository';
import { mergedBlocks, mergedDisks } from '../disks/merged-disks.js';
import { readDeviceState } from '../read/device-state.js';
import type { Engine } from '../engine.js';
import { mergedBatches } from './merge.js';
import { holdChain } from '../read/held-chain.js';
import { TOOL } from '../tool.js';

export interface CompactOptions extends CallOptions {
  /** Default `zstd`. */
  readonly compressor?: string;
  readonly level?: number;
  /** Bytes of memory that merging may take. Default 1 GiB. */
  readonly memory?: number;
}

/**
 * Merges an unbroken run of a chain, base-most first, into one checkpoint: the state of its last, and a base if
 * the first is one. Readers see the chain whole at every moment; the states between are gone afterwards.
 * Errors: ARGUMENT_INVALID for a run that is none, and those of reading and of `Repository.replace`.
 */
export async function compact(
  engine: Engine,
  repository: Repository,
  run: readonly CheckpointEntry[],
  options: CompactOptions = {},
): Promise<ReplaceReport> {
  const last = run.at(-1);
  if (!last || run.length < 2) {
    throw new FitdocError('ARGUMENT_INVALID', 'Merging takes at least two checkpoints of one chain.');
  }
  const { links, lease } = await holdChain(repository, last, 'compaction', options);
  let released = false;
  const release = async (): Promise<void> => {
    if (!released) await lease.release();
    released = true;
  };
  try {
    const merged = links.slice(-run.length);
    checkRun(
      run,
      merged.map(({ entry }) => entry),
    );
    const { machine, capturedAtMs } = merged.at(-1)?.reader.header ?? links[0]!.reader.header;
    const how = {
      ...options,
      pool: engine.pool,
      settings: {
        compressor: options.compressor ?? 'zstd',
        ...(options.level !== undefined && { level: options.level }),
      },
    };
    const disks = mergedDisks(merged);
    const content = contentOf(
      [mergedBatches(merged, { ...how, pages: totalPages(machine.regions) }), mergedBlocks(merged, how)],
      await readDeviceState(links),
      last,
      run.length,
    );
    const header = { machine, capturedAtMs, createdAtMs: Date.now(), tool: TOOL, ...(disks && { disks }) };
    // The lease ends with the last byte read: replacing waits for all users of the machine, us included.
    return await repository.replace(run, header, releasing(content, release), options);
  } finally {
    await release();
  }
}

async function* releasing(
  content: AsyncIterable<ContentItem>,
  release: () => Promise<void>,
): AsyncGenerator<ContentItem> {
  yield* content;
  await release();
}

async function* contentOf(
  parts: readonly AsyncIterable<ContentItem>[],
  state: readonly DeviceState[],
  last: CheckpointEntry,
  merged: number,
): AsyncGenerator<ContentItem> {
  for (const batches of parts) yield* batches;
  yield { type: 'deviceState', state };
  yield { type: 'metrics', metrics: { ...last.metrics, mergedCheckpoints: merged } };
}

function checkRun(run: readonly CheckpointEntry[], chain: readonly CheckpointEntry[]): void {
  if (run.every((entry, index) => entry.contentHash === chain[index]?.contentHash)) return;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    'The checkpoints to merge are not an unbroken part of one chain.',
    {
      hint: 'List the chain, and name all of a stretch.',
    },
  );
}

/** The runs that compaction by a policy would merge: of each, only the last is wanted. */
export async function compactable(
  repository: Repository,
  policy: RetentionPolicy,
  options: CallOptions & { readonly machine?: string } = {},
): Promise<CheckpointEntry[][]> {
  const { machines } = await repository.prune(policy, { ...options, dryRun: true });
  return machines.flatMap(({ mergeable }) => mergeable.map(({ entries, into }) => [...entries, into]));
}
