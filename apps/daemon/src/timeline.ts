import type { CheckpointEntry, Tag } from '@fitdoc/repository';
import type { Chain } from './supervisor/operations.js';
import { entryAsLast } from './supervisor/machine-status.js';
import type { TimelineEntry } from './model.js';

/** A machine's newest checkpoints, oldest of them first. Errors: the store's. */
export async function timelineOf(
  { repository, machineId }: Chain,
  limit: number,
  signal: AbortSignal,
): Promise<TimelineEntry[]> {
  if (machineId === undefined) return [];
  const entries = await repository.checkpoints({ machine: machineId, signal });
  const tags = await repository.tags.list({ signal });
  return entries.slice(-limit).map((entry) => lineOf(entry, tags));
}

function lineOf(entry: CheckpointEntry, tags: readonly Tag[]): TimelineEntry {
  return {
    ...entryAsLast(entry),
    parent: entry.parentId ?? null,
    pages: entry.pages,
    rawBytes: entry.rawBytes,
    tags: tags.filter(({ contentHash }) => contentHash === entry.contentHash).map(({ name }) => name),
  };
}
