import { stateOf, supersededHashes, type CheckpointEntry } from './entry.js';

/** The best way to a state: the object that is read last, and what all of the way costs. */
export interface Way {
  readonly entry: CheckpointEntry;
  /** The state that the object stands on; undefined for a base. */
  readonly parent: string | undefined;
  /** What the objects of the way weigh together; see `cheapestWays`. */
  readonly weight: number;
  readonly objects: number;
  readonly bytes: number;
}

/**
 * The cheapest way to every state that has one, by the hashes that name it: by weight, then objects, then bytes.
 * States are the nodes of a graph and objects its edges, each from its parent's state to its own, so this is
 * Bellman's shortest path over a graph without loops: a parent's sequence is lower than its child's, and an object
 * that says otherwise, or is another machine's than its parent, leads nowhere. Time is linear but for a sort.
 */
export function cheapestWays(
  entries: readonly CheckpointEntry[],
  weigh: (entry: CheckpointEntry) => number = () => 0,
): Map<string, Way> {
  const ways = new Map<string, Way>();
  const ordered = [...entries].sort((one, other) => one.sequence - other.sequence);
  for (let from = 0, to = 0; from < ordered.length; from = to) {
    while (to < ordered.length && ordered[to]!.sequence === ordered[from]!.sequence) to++;
    // Of one sequence none can stand on another: all are tried before the first of them counts.
    if (to === from + 1) {
      const way = wayThrough(ordered[from]!, ways, weigh);
      if (way) take(ways, way);
      continue;
    }
    const found = ordered.slice(from, to).map((entry) => wayThrough(entry, ways, weigh));
    for (const way of found) if (way) take(ways, way);
  }
  return ways;
}

function take(ways: Map<string, Way>, way: Way): void {
  takeAs(ways, way, stateOf(way.entry));
  for (const hash of supersededHashes(way.entry)) takeAs(ways, way, hash);
}

function takeAs(ways: Map<string, Way>, way: Way, hash: string): void {
  const known = ways.get(hash);
  if (!known || compareWays(way, known) < 0) ways.set(hash, way);
}

/** Takes one object into ways that hold all below it. */
export function relax(ways: Map<string, Way>, entry: CheckpointEntry): void {
  const way = wayThrough(entry, ways, () => 0);
  if (way) take(ways, way);
}

/** Below zero when `one` costs less. */
export function compareWays(one: Way, other: Way): number {
  return (
    one.weight - other.weight ||
    one.objects - other.objects ||
    one.bytes - other.bytes ||
    (one.entry.key < other.entry.key ? -1 : one.entry.key > other.entry.key ? 1 : 0)
  );
}

function wayThrough(
  entry: CheckpointEntry,
  ways: ReadonlyMap<string, Way>,
  weigh: (entry: CheckpointEntry) => number,
): Way | undefined {
  if (entry.parentContentHash === undefined) {
    return { entry, parent: undefined, weight: weigh(entry), objects: 1, bytes: entry.bytes };
  }
  const parent = entry.parentContentHash;
  const before = ways.get(parent);
  if (!before || before.entry.machineId !== entry.machineId) return undefined;
  if (before.entry.sequence >= entry.sequence) return undefined;
  return {
    entry,
    parent,
    weight: before.weight + weigh(entry),
    objects: before.objects + 1,
    bytes: before.bytes + entry.bytes,
  };
}

/** The objects of the way to a state, base first, or undefined where there is none. */
export function followWay(ways: ReadonlyMap<string, Way>, state: string): CheckpointEntry[] | undefined {
  const path: CheckpointEntry[] = [];
  let at: string | undefined = state;
  while (at !== undefined) {
    const way: Way | undefined = ways.get(at);
    if (!way) return undefined;
    path.push(way.entry);
    at = way.parent;
  }
  return path.reverse();
}
