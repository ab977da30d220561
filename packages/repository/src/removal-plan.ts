import { shortId, type CheckpointEntry } from './entry.js';
import { Lineage } from './lineage.js';

/** A checkpoint that stays, and why, for people. */
export interface KeptCheckpoint {
  readonly entry: CheckpointEntry;
  readonly reasons: readonly string[];
}

export interface RemovalPlan {
  /** In the order of removal: a child always before its parent. */
  readonly remove: readonly CheckpointEntry[];
  /** Those of the unwanted that stay all the same. */
  readonly kept: readonly KeptCheckpoint[];
}

/**
 * Of the checkpoints that are to go, finds those that can: whatever a staying checkpoint descends from stays
 * too, unless a staying checkpoint supersedes it. `protect` names further reasons to stay.
 */
export function planRemoval(
  entries: readonly CheckpointEntry[],
  unwanted: ReadonlySet<CheckpointEntry>,
  protect: (entry: CheckpointEntry) => readonly string[],
): RemovalPlan {
  const lineage = new Lineage(entries);
  const reasons = new Map<CheckpointEntry, readonly string[]>();
  const staying = new Set<CheckpointEntry>();
  for (const entry of entries) {
    const why = unwanted.has(entry) ? protect(entry) : [];
    if (unwanted.has(entry) && why.length === 0) continue;
    staying.add(entry);
    if (why.length > 0) reasons.set(entry, why);
  }
  // A set gives what is added while it is walked: this reaches all ancestors.
  for (const entry of staying) {
    if (entry.parentContentHash === undefined) continue;
    const providers = lineage.providers(entry.parentContentHash);
    const parent = lineage.keeper(entry.parentContentHash);
    if (!parent || providers.some((provider) => staying.has(provider))) continue;
    staying.add(parent);
    reasons.set(parent, [`needed by ${shortId(entry.id)}`]);
  }
  const remove = entries.filter((entry) => !staying.has(entry));
  return {
    remove: leafFirst(remove),
    kept: [...reasons].map(([entry, why]) => ({ entry, reasons: why })),
  };
}

/** Orders checkpoints so that each comes before all that it descends from. */
export function leafFirst(entries: readonly CheckpointEntry[]): CheckpointEntry[] {
  const lineage = new Lineage(entries);
  const depths = new Map<CheckpointEntry, number>();
  const depthOf = (entry: CheckpointEntry): number => {
    const path: CheckpointEntry[] = [];
    let at: CheckpointEntry | undefined = entry;
    // Not recursive: chains are thousands long. A loop in damaged links ends at what is on the path already.
    while (at && !depths.has(at) && !path.includes(at)) {
      path.push(at);
      at = lineage.parentOf(at);
    }
    let depth = at ? (depths.get(at) ?? 0) : 0;
    for (const step of path.reverse()) depths.set(step, ++depth);
    return depths.get(entry)!;
  };
  // From the lowest sequence on, so that a path is one step long.
  const ordered = [...entries].sort((one, other) => one.sequence - other.sequence);
  for (const entry of ordered) depthOf(entry);
  return ordered.sort((one, other) => depths.get(other)! - depths.get(one)!);
}
