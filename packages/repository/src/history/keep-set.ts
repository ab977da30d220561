import { followWay, relax, type Way } from '../catalogue/cheapest.js';
import { stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import { PLANNED_OBJECTS } from './types.js';
import type { StateNode, StateTree } from './state-tree.js';

/** The objects that stay, and the ways over them. */
export interface KeepSet {
  readonly objects: ReadonlySet<CheckpointEntry>;
  readonly ways: ReadonlyMap<string, Way>;
}

/**
 * Finds objects enough that every state in `needed` has a way of at most `PLANNED_OBJECTS`, or, where there is none so
 * short, the shortest that there is. `wanted` says of an object whether it stays by itself. From the oldest state up,
 * so that a base which one state needs serves all above it, and no more of them stay than the bound asks for.
 */
export function chooseObjects(
  tree: StateTree,
  needed: ReadonlySet<StateNode>,
  wanted: (entry: CheckpointEntry, node: StateNode) => boolean,
): KeepSet {
  const objects = new Set<CheckpointEntry>();
  const ways = new Map<string, Way>();
  const add = (entry: CheckpointEntry): void => {
    objects.add(entry);
    relax(ways, entry);
  };
  for (const node of tree.nodes) {
    for (const entry of node.objects) if (wanted(entry, node)) add(entry);
    if (!needed.has(node)) continue;
    const way = ways.get(stateOf(node.face));
    if (way && way.objects <= PLANNED_OBJECTS) continue;
    const best = tree.ways.get(stateOf(node.face))!;
    if (way && way.objects <= best.objects) continue;
    for (const entry of followWay(tree.ways, stateOf(node.face))!) add(entry);
  }
  return { objects, ways };
}
