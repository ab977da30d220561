import { idOf, type CheckpointSummary } from '@fitdoc/format';
import type { FitdocError } from '@fitdoc/interface';
import type { CheckpointKey } from '../layout.js';

/**
 * A checkpoint in the repository: its summary, and the key of its object. `id` and `contentHash` name the state
 * that it shows, which for a derived object (one made by merging) is that of a captured checkpoint that may be
 * gone: people, tags and children name states, and a name never changes.
 */
export interface CheckpointEntry extends CheckpointSummary {
  readonly key: string;
  /** Content hash of the object itself; another than `contentHash` in derived objects only. */
  readonly objectHash: string;
  readonly damaged?: undefined;
}

/**
 * A checkpoint whose object is there but cannot be read: damaged, cut short, of a later format, or withheld (the
 * code is the store's then: STORE_DENIED, STORE_UNAVAILABLE). What its key tells is known, no more.
 */
export interface DamagedEntry extends CheckpointKey {
  readonly key: string;
  /** Size of the object. */
  readonly bytes: number;
  /** Why it cannot be read. */
  readonly damaged: FitdocError;
}

export type ListedEntry = CheckpointEntry | DamagedEntry;

/** The entry of an object, from what its summary says. */
export function entryOf(summary: CheckpointSummary, key: string): CheckpointEntry {
  const state = summary.state ?? summary.contentHash;
  return { ...summary, id: idOf(state), contentHash: state, objectHash: summary.contentHash, key };
}

export function isIntact(entry: ListedEntry): entry is CheckpointEntry {
  return entry.damaged === undefined;
}

/** The content hash that names the state which a checkpoint shows. */
export function stateOf(entry: Pick<CheckpointEntry, 'state' | 'contentHash'>): string {
  return entry.state ?? entry.contentHash;
}

/** Whether the object was made of others, rather than captured. */
export function isDerived(entry: Pick<CheckpointEntry, 'state'>): boolean {
  return entry.state !== undefined;
}

/** The content hashes of the checkpoints whose place this one takes, for children that name those. */
export function supersededHashes(entry: CheckpointSummary): readonly string[] {
  return entry.supersedes ?? [];
}

/** All hashes by which a child may name the state that an entry shows. */
export function providedHashes(entry: CheckpointEntry): readonly string[] {
  return [stateOf(entry), ...supersededHashes(entry)];
}

/** The id as people see it: enough to tell checkpoints apart, short enough to type. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
