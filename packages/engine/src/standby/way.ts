import type { MachineInfo } from '@fitdoc/interface';
import { lastFirst, type CheckpointEntry, type Lineage } from '@fitdoc/repository';

/**
 * The increments that lead from one state to another, in the order in which they lie on each other; of all ways the one of
 * fewest bytes. Undefined where none does: another fork, a new base, or a merge that passes the first state over.
 */
export function wayBetween(lineage: Lineage, from: string, to: string): CheckpointEntry[] | undefined {
  const start = lineage.nameOf(from);
  const ways = new Map<string, Way>([[start, { bytes: 0 }]]);
  for (const entry of [...lineage.entries].sort((one, other) => one.sequence - other.sequence)) {
    const parent = lineage.parentStateOf(entry);
    const below = parent === undefined ? undefined : ways.get(parent);
    const state = lineage.stateOf(entry);
    if (!below || state === start) continue;
    const way = { bytes: below.bytes + entry.bytes, entry, below };
    if (way.bytes < (ways.get(state)?.bytes ?? Number.POSITIVE_INFINITY)) ways.set(state, way);
  }
  const end = ways.get(lineage.nameOf(to));
  return end && entriesOf(end);
}

interface Way {
  readonly bytes: number;
  readonly entry?: CheckpointEntry;
  readonly below?: Way;
}

function entriesOf(end: Way): CheckpointEntry[] {
  const entries: CheckpointEntry[] = [];
  for (let way: Way | undefined = end; way?.entry; way = way.below) entries.unshift(way.entry);
  return entries;
}

/** The newest states that can be read, newest first. */
export function newestStates(lineage: Lineage): CheckpointEntry[] {
  return lineage
    .states()
    .filter((entry) => lineage.cost(entry))
    .sort(lastFirst);
}

/** Whether memory of the one lies in files as that of the other does. */
export function sameLayout(one: MachineInfo, other: MachineInfo): boolean {
  return layoutOf(one) === layoutOf(other);
}

function layoutOf({ regions }: MachineInfo): string {
  return JSON.stringify(regions.map(({ name, firstGfn, pages }) => [name, firstGfn, pages]));
}
