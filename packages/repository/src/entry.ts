import type { CheckpointSummary } from '@fitdoc/format';
import type { FitdocError } from '@fitdoc/interface';
import type { CheckpointKey } from './layout.js';

/** A checkpoint in the repository: its summary, and the key of its object. */
export interface CheckpointEntry extends CheckpointSummary {
  readonly key: string;
  readonly damaged?: undefined;
}

/**
 * A checkpoint whose object is there but cannot be read: damaged, cut short, or of a later format. What its
 * key tells is known, no more.
 */
export interface DamagedEntry extends CheckpointKey {
  readonly key: string;
  /** Size of the object. */
  readonly bytes: number;
  /** Why it cannot be read. */
  readonly damaged: FitdocError;
}

export type ListedEntry = CheckpointEntry | DamagedEntry;

export function isIntact(entry: ListedEntry): entry is CheckpointEntry {
  return entry.damaged === undefined;
}

/** The content hashes of the checkpoints whose place this one takes, for children that name those. */
export function supersededHashes(entry: CheckpointSummary): readonly string[] {
  return entry.supersedes ?? [];
}

/** The id as people see it: enough to tell checkpoints apart, short enough to type. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
