import { isDerived } from '../catalogue/entry.js';
import type { StateNode, StateTree } from './state-tree.js';

/** Merged increments, by the states that they stand on: what lies between goes without a merge of its own. */
export class Bridges {
  readonly #from = new Map<StateNode, StateNode[]>();

  constructor(tree: StateTree) {
    for (const node of tree.nodes) {
      for (const entry of node.objects) {
        if (!isDerived(entry) || entry.parentContentHash === undefined) continue;
        const from = tree.at(entry.parentContentHash);
        if (from) this.#from.set(from, [...(this.#from.get(from) ?? []), node]);
      }
    }
  }

  /** Whether an increment leads from `below` over `node` to a later state. */
  over(below: StateNode, node: StateNode): boolean {
    return (this.#from.get(below) ?? []).some(({ face }) => face.sequence > node.face.sequence);
  }
}

/** For each state the nearest of those below it that `fits`. */
export function nearestBelow(
  { nodes }: StateTree,
  fits: (node: StateNode) => boolean,
): ReadonlyMap<StateNode, StateNode> {
  const below = new Map<StateNode, StateNode>();
  for (const node of nodes) {
    const { parent } = node;
    const nearest = parent && fits(parent) ? parent : parent && below.get(parent);
    if (nearest) below.set(node, nearest);
  }
  return below;
}
