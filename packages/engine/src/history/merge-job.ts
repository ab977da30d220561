import { FitdocError, totalPages, type CallOptions, type DeviceState } from '@fitdoc/interface';
import { idOf, LIMITS, type ContentItem } from '@fitdoc/format';
import type { CheckpointEntry, MergeJob, Repository } from '@fitdoc/repository';
import type { Engine } from '../engine.js';
import { mergedBlocks, mergedDisks } from '../disks/merged-disks.js';
import { readDeviceState } from '../read/device-state.js';
import { holdChain } from '../read/held-chain.js';
import { openLinks, type OpenLink } from '../read/replay.js';
import { TOOL } from '../tool.js';
import type { Bandwidth } from './bandwidth.js';
import { mergedBatches } from './merge.js';

/** Bytes of memory that one merge in the background takes. */
const MEMORY = 96 * 2 ** 20;

export interface MergeJobOptions extends CallOptions {
  readonly bandwidth: Bandwidth;
  /** Whether it may take its share of a busy host; asked again and again. */
  readonly isUrgent: () => boolean;
  /** Default: 96 MiB. */
  readonly memory?: number;
  readonly compressor?: string;
  readonly level?: number;
}

/**
 * Makes one derived object: the state of `job.to` over the state `job.parent`, or over nothing. Its inputs stay as
 * they are. Every byte of them is checked against its hash on the way in, and the object is read back before it
 * counts. Errors: FORMAT_*, STORE_* (STORE_NOT_FOUND where an input is gone: plan anew), REPOSITORY_*.
 */
export async function runMergeJob(
  engine: Engine,
  repository: Repository,
  job: MergeJob,
  options: MergeJobOptions,
): Promise<CheckpointEntry> {
  const call = options.signal ? { signal: options.signal } : {};
  const lease = await repository.hold(job.path, 'merge', call);
  try {
    const links = await openLinks(repository, job.path, { ...call, integrity: 'hash' });
    checkPath(job);
    const state = await deviceStateOf(repository, job.to, call);
    const entry = await repository.put(
      headerOf(job, links),
      content(engine, job, links, state, options),
      call,
    );
    await readBack(repository, entry, call);
    return entry;
  } finally {
    await lease.release();
  }
}

/** Its deltas may go further back than what is merged. */
async function deviceStateOf(
  repository: Repository,
  entry: CheckpointEntry,
  call: CallOptions,
): Promise<DeviceState[]> {
  const { links, lease } = await holdChain(repository, entry, 'merge', call);
  try {
    return await readDeviceState(links);
  } finally {
    await lease.release();
  }
}

function headerOf(job: MergeJob, links: readonly OpenLink[]): Parameters<Repository['put']>[0] {
  const { to, parent } = job;
  const last = links.at(-1);
  const disks = mergedDisks(links);
  if (!last) throw new FitdocError('ARGUMENT_INVALID', 'There is nothing to merge.');
  return {
    machine: last.reader.header.machine,
    sequence: to.sequence,
    capturedAtMs: to.capturedAtMs,
    createdAtMs: Date.now(),
    tool: TOOL,
    ...(disks && { disks }),
    state: to.contentHash,
    role: job.role,
    merges: job.path.slice(-LIMITS.merges).map(({ objectHash }) => objectHash),
    ...(parent === undefined
      ? { kind: 'base' as const }
      : { kind: 'increment' as const, parent: { id: idOf(parent), contentHash: parent } }),
  };
}

async function* content(
  engine: Engine,
  job: MergeJob,
  links: readonly OpenLink[],
  state: readonly DeviceState[],
  options: MergeJobOptions,
): AsyncGenerator<ContentItem> {
  const { bandwidth, signal } = options;
  const last = links.at(-1)!;
  const how = {
    pool: engine.pool.background(options.isUrgent),
    memory: options.memory ?? MEMORY,
    settings: {
      compressor: options.compressor ?? 'zstd',
      ...(options.level !== undefined && { level: options.level }),
    },
    ...(signal && { signal }),
    ...(options.onProgress && { onProgress: options.onProgress }),
    beforeRead: (bytes: number) => bandwidth.take(bytes, signal),
  };
  const pages = totalPages(last.reader.header.machine.regions);
  for (const batches of [mergedBatches(links, { ...how, pages }), mergedBlocks(links, how)]) {
    for await (const batch of batches) {
      await bandwidth.take(batch.encoded.bytes.length, signal);
      yield batch;
    }
  }
  yield { type: 'deviceState', state };
  yield { type: 'metrics', metrics: { ...job.to.metrics, mergedCheckpoints: links.length } };
}

/** A plan that does not fit together would make an object that lies; it must not come to that. */
function checkPath({ path, parent, to }: MergeJob): void {
  const shows = (entry: CheckpointEntry | undefined, hash: string | undefined): boolean =>
    entry === undefined
      ? hash === parent
      : hash !== undefined && (entry.contentHash === hash || (entry.supersedes ?? []).includes(hash));
  const broken = path.find((entry, index) => !shows(path[index - 1], entry.parentContentHash));
  if (!broken && shows(path.at(-1), to.contentHash)) return;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    'The checkpoints to merge are no way from one state to the other.',
    {
      details: { id: to.id, broken: broken?.key },
    },
  );
}

/** What the store gives back must be whole: from now on finer objects may go because this one is there. */
async function readBack(repository: Repository, entry: CheckpointEntry, call: CallOptions): Promise<void> {
  const reader = await repository.openCheckpoint(entry, call);
  const { findings } = await reader.verify({ data: false, ...call });
  const [finding] = findings;
  if (!finding) return;
  throw new FitdocError(
    finding.code,
    `A merged checkpoint was not stored as it was written: ${finding.message}`,
    {
      hint: 'The store is broken: check the file system or the server behind it.',
      details: { key: entry.key },
    },
  );
}
