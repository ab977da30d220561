import { followWay } from '../catalogue/cheapest.js';
import { stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import { jobsBetween } from './jobs.js';
import { ANCHOR_OBJECTS } from './ladder.js';
import type { StateNode, StateTree } from './state-tree.js';
import type { MergeJob } from './types.js';

/** A base is brought forward when what has piled up on it weighs as much as it does. */
export const PILE_PER_BASE = 1;
/** A short cut that would weigh nearly as much as a base is made one. */
const BASE_ABOVE = 0.75;
export interface Pile {
  readonly base: CheckpointEntry;
  readonly increments: readonly CheckpointEntry[];
  readonly bytes: number;
}

export function pileUnder(tree: StateTree, node: StateNode): Pile | undefined {
  const [base, ...increments] = followWay(tree.ways, stateOf(node.face)) ?? [];
  if (!base) return undefined;
  return { base, increments, bytes: increments.reduce((sum, entry) => sum + entry.bytes, 0) };
}

/** Brings the base under a line of states forward to `node`, or a short cut from it, when it is time to. */
export function anchorAt(tree: StateTree, node: StateNode): MergeJob[] {
  const pile = pileUnder(tree, node);
  if (!pile || pile.increments.length === 0) return [];
  const heavy = pile.bytes >= PILE_PER_BASE * pile.base.bytes;
  if (!heavy && pile.increments.length < ANCHOR_OBJECTS) return [];
  return forward(tree, node, pile);
}

export function forward(tree: StateTree, node: StateNode, pile: Pile): MergeJob[] {
  if (pile.bytes >= BASE_ABOVE * pile.base.bytes) return jobsBetween(tree, undefined, node, 'base', 'base');
  return jobsBetween(tree, tree.at(pile.base.contentHash), node, 'shortcut', 'base');
}
