import { isIntact, type ListedEntry } from './entry.js';
import { Lineage } from './lineage.js';

/** One entry for each state, and what cannot be read, in the order of the captured. */
export function restorePoints(entries: readonly ListedEntry[]): ListedEntry[] {
  // Mostly each counts one up: then each is a state, as what is the same was counted the same.
  if (entries.every((entry, at) => isAbove(entry, entries[at - 1]))) return [...entries];
  const states = new Set<ListedEntry>(new Lineage(entries.filter(isIntact)).states());
  return entries.filter((entry) => !isIntact(entry) || states.has(entry)).sort(compareListed);
}

function isAbove(entry: ListedEntry, before: ListedEntry | undefined): boolean {
  if (isIntact(entry) && (entry.role !== undefined || entry.supersedes !== undefined)) return false;
  if (!before) return true;
  return before.machineId === entry.machineId
    ? before.sequence < entry.sequence
    : before.machineId < entry.machineId;
}

function compareListed(one: ListedEntry, other: ListedEntry): number {
  return (
    compareText(one.machineId, other.machineId) ||
    one.sequence - other.sequence ||
    one.createdAtMs - other.createdAtMs ||
    compareText(one.key, other.key)
  );
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
