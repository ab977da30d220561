import { FitdocError } from '@fitdoc/interface';
import { isDerived, type CheckpointEntry } from '../catalogue/entry.js';
import { Lineage } from '../catalogue/lineage.js';
import { planRemoval, type KeptCheckpoint } from './removal-plan.js';
import { chainTimes } from './chain-time.js';
import { applyPolicy, type RetentionPolicy } from './policy.js';
import type { Tag } from '../catalogue/tags.js';

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

/** Applies a policy to one machine's checkpoints; `nowMs` tells dates in the future. */
export function planPrune(
  machineId: string,
  entries: readonly CheckpointEntry[],
  policy: RetentionPolicy,
  tags: readonly Tag[],
  nowMs?: number,
): PrunePlan {
  const lineage = new Lineage(entries);
  const tagReasons = reasonsOfTags(lineage, tagsToKeep(tags, policy));
  const states = lineage.states();
  const chosen = applyPolicy(states, policy, chainTimes(states, nowMs));
  for (const [entry, reasons] of tagReasons) chosen.set(entry, [...(chosen.get(entry) ?? []), ...reasons]);
  const keptStates = new Set([...chosen.keys()].map((entry) => lineage.stateOf(entry)));
  // Short cuts to a kept state stay with it; a captured object that another has superseded does not.
  const wanted = (entry: CheckpointEntry) =>
    chosen.has(entry) || (isDerived(entry) && keptStates.has(lineage.stateOf(entry)));
  const unwanted = new Set(entries.filter((entry) => !wanted(entry)));
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
    const entry = lineage.face(tag.contentHash);
    if (entry) reasons.set(entry, [...(reasons.get(entry) ?? []), `tag ${tag.name}`]);
  }
  return reasons;
}

/** The tags that protect under a policy. CHECKPOINT_NOT_FOUND for a name that it gives and that there is not. */
export function tagsToKeep(tags: readonly Tag[], policy: RetentionPolicy): readonly Tag[] {
  return policy.keepTags ? onlyNamed(tags, policy.keepTags) : tags;
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
