import { FitdocError } from '@fitdoc/interface';
import type { CheckpointEntry } from './entry.js';
import { Lineage } from './lineage.js';
import { planRemoval, type KeptCheckpoint } from './removal-plan.js';
import { applyPolicy, type RetentionPolicy } from './retention.js';
import type { Tag } from './tags.js';

/** Increments that stay only because a later checkpoint builds on them, and that checkpoint. */
export interface MergeableRun {
  /** Base-most first; with `into` they are an unbroken part of a chain. */
  readonly entries: readonly CheckpointEntry[];
  readonly into: CheckpointEntry;
}

/** What a prune does to one machine's checkpoints. */
export interface PrunePlan {
  readonly machineId: string;
  /** In the order of removal. */
  readonly remove: readonly CheckpointEntry[];
  /** All that stay, newest first. */
  readonly keep: readonly KeptCheckpoint[];
  /** What a compaction could merge to free more. */
  readonly mergeable: readonly MergeableRun[];
}

/** Applies a policy to one machine's checkpoints. */
export function planPrune(
  machineId: string,
  entries: readonly CheckpointEntry[],
  policy: RetentionPolicy,
  tags: readonly Tag[],
): PrunePlan {
  const lineage = new Lineage(entries);
  const tagReasons = reasonsOfTags(lineage, policy.keepTags ? onlyNamed(tags, policy.keepTags) : tags);
  const counted = entries.filter((entry) => !lineage.isSuperseded(entry));
  const chosen = applyPolicy(counted, policy);
  for (const [entry, reasons] of tagReasons) chosen.set(entry, [...(chosen.get(entry) ?? []), ...reasons]);
  const unwanted = new Set(entries.filter((entry) => !chosen.has(entry)));
  const { remove, kept } = planRemoval(entries, unwanted, () => []);
  const all: KeptCheckpoint[] = [...[...chosen].map(([entry, reasons]) => ({ entry, reasons })), ...kept];
  all.sort(
    (one, other) =>
      other.entry.capturedAtMs - one.entry.capturedAtMs || other.entry.sequence - one.entry.sequence,
  );
  return { machineId, remove, keep: all, mergeable: findMergeable(all, chosen) };
}

/** Why tags keep checkpoints, by checkpoint. */
export function reasonsOfTags(lineage: Lineage, tags: readonly Tag[]): Map<CheckpointEntry, string[]> {
  const reasons = new Map<CheckpointEntry, string[]>();
  for (const tag of tags) {
    const entry = lineage.keeper(tag.contentHash);
    if (entry) reasons.set(entry, [...(reasons.get(entry) ?? []), `tag ${tag.name}`]);
  }
  return reasons;
}

function onlyNamed(tags: readonly Tag[], names: readonly string[]): Tag[] {
  for (const name of names) {
    if (tags.some((tag) => tag.name === name)) continue;
    throw new FitdocError('CHECKPOINT_NOT_FOUND', `There is no tag ${name} to keep.`, {
      details: { tag: name },
    });
  }
  return tags.filter((tag) => names.includes(tag.name));
}

function findMergeable(
  keep: readonly KeptCheckpoint[],
  chosen: ReadonlyMap<CheckpointEntry, unknown>,
): MergeableRun[] {
  const lineage = new Lineage(keep.map(({ entry }) => entry));
  const children = new Map<CheckpointEntry, number>();
  for (const entry of lineage.entries) {
    const parent = lineage.parentOf(entry);
    if (parent) children.set(parent, (children.get(parent) ?? 0) + 1);
  }
  const runs: MergeableRun[] = [];
  for (const into of chosen.keys()) {
    const entries: CheckpointEntry[] = [];
    let parent = lineage.parentOf(into);
    while (parent && !chosen.has(parent) && children.get(parent) === 1) {
      entries.unshift(parent);
      parent = lineage.parentOf(parent);
    }
    if (entries.length > 0) runs.push({ entries, into });
  }
  return runs;
}
