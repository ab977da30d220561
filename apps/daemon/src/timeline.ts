import {
  isIntact,
  Lineage,
  type CheckpointEntry,
  type ReadCost,
  type Repository,
  type Tag,
} from '@fitdoc/repository';
import type { Chain } from './supervisor/operations.js';
import { entryAsLast } from './supervisor/machine-status.js';
import type { TimelineEntry } from './model.js';

/** The last one of each repository: while nothing changes, whoever looks at a machine again and again has it made once. */
const lineages = new WeakMap<Repository, Lineage>();

/** A machine's newest checkpoints, oldest of them first. Errors: the store's. */
export async function timelineOf(
  { repository, machineId }: Chain,
  limit: number,
  signal: AbortSignal,
): Promise<TimelineEntry[]> {
  if (machineId === undefined) return [];
  const objects = (await repository.objects({ machine: machineId, signal })).filter(isIntact);
  const lineage = lineageOf(repository, objects);
  const entries = lineage.states().sort((one, other) => one.sequence - other.sequence);
  const tags = await repository.tags.list({ signal });
  return entries.slice(-limit).map((entry) => lineOf(entry, lineage.cost(entry), tags));
}

function lineageOf(repository: Repository, objects: readonly CheckpointEntry[]): Lineage {
  const known = lineages.get(repository);
  if (known && isSame(known.entries, objects)) return known;
  const made = new Lineage(objects);
  lineages.set(repository, made);
  return made;
}

/** The repository gives the same entry for an object as long as that is there. */
function isSame(some: readonly CheckpointEntry[], others: readonly CheckpointEntry[]): boolean {
  return some.length === others.length && some.every((entry, index) => entry === others[index]);
}

function lineOf(entry: CheckpointEntry, cost: ReadCost | undefined, tags: readonly Tag[]): TimelineEntry {
  return {
    ...entryAsLast(entry),
    parent: entry.parentId ?? null,
    pages: entry.pages,
    rawBytes: entry.rawBytes,
    ...(cost && { readObjects: cost.objects, readBytes: cost.bytes }),
    tags: tags.filter(({ contentHash }) => contentHash === entry.contentHash).map(({ name }) => name),
  };
}
