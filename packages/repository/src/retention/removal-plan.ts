import { cheapestWays } from '../catalogue/cheapest.js';
import { shortId, stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import { Lineage } from '../catalogue/lineage.js';
import { lastFirst } from '../catalogue/order.js';

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
 * Of the objects that are to go, finds those that can: every state that a staying object shows keeps a way, the
 * one over the fewest unwanted objects, and what is on it stays too. `protect` names further reasons to stay.
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
  const need = (entry: CheckpointEntry, child: CheckpointEntry) => {
    if (staying.has(entry)) return;
    staying.add(entry);
    reasons.set(entry, [`needed by ${shortId(child.id)}`]);
  };
  keepWays(lineage, staying, need);
  const remove = entries.filter((entry) => !staying.has(entry));
  return {
    remove: leafFirst(remove),
    kept: [...reasons].map(([entry, why]) => ({ entry, reasons: why })),
  };
}

function keepWays(
  lineage: Lineage,
  staying: ReadonlySet<CheckpointEntry>,
  need: (entry: CheckpointEntry, child: CheckpointEntry) => void,
): void {
  const ways = cheapestWays(lineage.entries, (entry) => (staying.has(entry) ? 0 : 1));
  const done = new Set<string>();
  for (const asked of [...staying]) {
    let child = asked;
    let at: string | undefined = stateOf(asked);
    while (at !== undefined && !done.has(at)) {
      done.add(at);
      const way = ways.get(at);
      // Without a whole way (damage) all that is left of it stays, for what is missing may be brought back.
      const entry: CheckpointEntry | undefined =
        way?.entry ?? (child === asked ? asked : lineage.providers(at)[0]);
      if (!entry) break;
      need(entry, child);
      child = entry;
      at = way ? way.parent : entry.parentContentHash;
    }
  }
}

/** Orders checkpoints so that each comes before all that it stands on: those count lower. */
export function leafFirst(entries: readonly CheckpointEntry[]): CheckpointEntry[] {
  return [...entries].sort(lastFirst);
}
