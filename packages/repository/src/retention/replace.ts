import type { ContentItem, NewCheckpointHeader } from '@fitdoc/format';
import { FitdocError, isFitdocError } from '@fitdoc/interface';
import type { ListFilter } from '../catalogue/catalogue.js';
import {
  isIntact,
  providedHashes,
  supersededHashes,
  type CheckpointEntry,
  type ListedEntry,
} from '../catalogue/entry.js';
import { Lineage } from '../catalogue/lineage.js';
import type { Lease, LockOptions } from '../locks/lease.js';
import type { DeleteOptions, DeleteReport } from './removal.js';
import type { KeptCheckpoint } from './removal-plan.js';
import type { PutCheckpointOptions } from '../writer.js';

export interface ReplaceReport {
  /** The checkpoint that took the run's place. */
  readonly entry: CheckpointEntry;
  readonly removed: readonly CheckpointEntry[];
  /** Of the run, what stays for now, and why. */
  readonly kept: readonly KeptCheckpoint[];
  readonly freedBytes: number;
}

/** What a replacement asks of a repository. */
interface Replaceable {
  hold(entries: readonly CheckpointEntry[], purpose: string, options?: LockOptions): Promise<Lease>;
  objects(filter: ListFilter): Promise<ListedEntry[]>;
  put(
    header: NewCheckpointHeader,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions,
  ): Promise<CheckpointEntry>;
  delete(entries: readonly CheckpointEntry[], options: DeleteOptions): Promise<DeleteReport>;
}

/** See Repository.replace. */
export async function replaceRun(
  repository: Replaceable,
  run: readonly CheckpointEntry[],
  header: Omit<NewCheckpointHeader, 'parent' | 'sequence' | 'kind' | 'supersedes'>,
  content: AsyncIterable<ContentItem>,
  options: PutCheckpointOptions,
): Promise<ReplaceReport> {
  const [first, last] = [run[0], run.at(-1)];
  if (!first || !last) throw new FitdocError('ARGUMENT_INVALID', 'There is nothing to replace.');
  const call = options.signal ? { signal: options.signal } : {};
  // The run must still be there when the new object is, and its links be what the caller thinks.
  const lease = await repository.hold(run, 'compact', options);
  let entry: CheckpointEntry;
  try {
    const objects = await repository.objects({ machine: first.machineId, ...call });
    const lineage = new Lineage(objects.filter(isIntact));
    checkRun(run, header.machine.id, lineage);
    const parent = lineage.parentOf(first);
    const place = parent
      ? { kind: 'increment' as const, parent: { id: parent.id, contentHash: parent.contentHash } }
      : { kind: 'base' as const };
    const supersedes = [last.contentHash, ...supersededHashes(last)];
    entry = await repository.put(
      { ...header, ...place, sequence: last.sequence, supersedes },
      content,
      options,
    );
  } finally {
    await lease.release();
  }
  return { entry, ...(await removeRun(repository, run, options)) };
}

function checkRun(run: readonly CheckpointEntry[], machine: string, lineage: Lineage): void {
  const keys = new Set(lineage.entries.map((entry) => entry.key));
  const broken = run.find((entry, index) => {
    const parent = entry.parentContentHash ?? '';
    const linked = index === 0 || providedHashes(run[index - 1]!).includes(parent);
    return !linked || !keys.has(entry.key) || entry.machineId !== machine;
  });
  if (!broken) return;
  throw new FitdocError('ARGUMENT_INVALID', 'The checkpoints to replace are no unbroken run of one chain.', {
    hint: 'Give consecutive checkpoints of one machine, as chain() lists them.',
    details: { id: broken.id },
  });
}

async function removeRun(
  repository: Replaceable,
  run: readonly CheckpointEntry[],
  options: PutCheckpointOptions,
): Promise<Omit<ReplaceReport, 'entry'>> {
  const { signal, waitMs } = options;
  const call = { ...(signal ? { signal } : {}), ...(waitMs === undefined ? {} : { waitMs }) };
  try {
    const report = await repository.delete(run, call);
    return {
      removed: report.removed as CheckpointEntry[],
      kept: report.kept,
      freedBytes: report.freedBytes,
    };
  } catch (error) {
    // The new checkpoint stands; the old ones are superseded, and a prune takes them later.
    if (!isFitdocError(error, 'REPOSITORY_LOCKED') && !isFitdocError(error, 'ABORTED')) throw error;
    return { removed: [], kept: run.map((entry) => ({ entry, reasons: [error.message] })), freedBytes: 0 };
  }
}
