import { isDerived, type CheckpointEntry } from '../catalogue/entry.js';
import { forward, PILE_PER_BASE, pileUnder, type Pile } from './anchors.js';
import { jobsBetween } from './jobs.js';
import type { StateNode, StateTree } from './state-tree.js';
import type { MergeJob, Pace } from './types.js';

/** Objects that no rule keeps and that are merged in one go: the more, the fewer bytes are written for each. */
const LEAST: Readonly<Record<Pace, number>> = { lazy: 24, prompt: 8, exact: 1 };
/** Objects of whatever kind that are too many to leave lying, where nothing is kept behind them. */
const MOST_OBJECTS_LEFT = 24;
/** Merged ones that lie one behind the other before they are merged again. */
const MOST_MERGED = 6;
/** A base is due when so many bytes were captured since the last for each of its own: that bounds what bases cost. */
const CAPTURED_PER_BASE = 2;
/** Below this share of the base, what has piled up is merged into less than a new one takes. */
const PILE_WORTH_A_BASE = 0.5;

export interface TailRules {
  /** Mean bytes of one capture. */
  readonly captureBytes: number;
  readonly pace: Pace;
}

/** Of a way's increments, the newest that are as they were captured. */
function freshOf(increments: readonly CheckpointEntry[]): number {
  return increments.length - 1 - increments.findLastIndex((entry) => isDerived(entry));
}

function isDue(increments: readonly CheckpointEntry[], pace: Pace): boolean {
  return increments.length >= MOST_OBJECTS_LEFT || freshOf(increments) >= LEAST[pace];
}

/**
 * Merges what lies behind the oldest state that is kept, where nothing below is: some captures at a time into one
 * object, a few of those into one again, and the whole into a base once enough was captured to pay for it. So each
 * byte is written about once and bases cost half of what was captured, however often the oldest state moves on.
 */
export function tailUnder(tree: StateTree, node: StateNode, rules: TailRules): MergeJob[] {
  const pile = pileUnder(tree, node);
  if (!pile || pile.increments.length === 0) return [];
  const below = tree.at(pile.base.contentHash);
  if (paysForBase(pile, node, rules)) return forward(tree, node, pile);
  if (!below || !isDue(pile.increments, rules.pace)) return [];
  return someOf(tree, below, node, pile.increments, rules.pace);
}

function paysForBase({ base, increments, bytes }: Pile, node: StateNode, rules: TailRules): boolean {
  const captured = (node.face.sequence - base.sequence) * rules.captureBytes;
  const isHeavy = bytes >= PILE_PER_BASE * base.bytes;
  if (rules.pace === 'exact' || freshOf(increments) === 0) return isHeavy;
  if (captured < CAPTURED_PER_BASE * base.bytes) return false;
  return isHeavy || (bytes >= PILE_WORTH_A_BASE * base.bytes && isDue(increments, rules.pace));
}

/** The same between two kept states, the upper of which is soon another: in pieces, and not at every plan anew. */
export function gapUnder(tree: StateTree, below: StateNode, node: StateNode, pace: Pace): MergeJob[] {
  const way = tree.between(below, node);
  if (!way || !isDue(way, pace)) return [];
  return someOf(tree, below, node, way, pace);
}

function someOf(
  tree: StateTree,
  below: StateNode,
  node: StateNode,
  way: readonly CheckpointEntry[],
  pace: Pace,
): MergeJob[] {
  const from = pace === 'exact' ? 0 : firstToMerge(way);
  const under = from === 0 ? below : tree.at(way[from - 1]!.contentHash);
  return under ? jobsBetween(tree, under, node, 'merged', 'tail') : [];
}

/** Fresh ones only, or also merged ones once those are many: then all that weigh no more than what comes after. */
function firstToMerge(way: readonly CheckpointEntry[]): number {
  const fresh = freshOf(way);
  let from = way.length - fresh;
  const isMany = from >= MOST_MERGED || fresh < 2;
  if (!isMany) return from;
  let weight = way.slice(from).reduce((sum, { bytes }) => sum + bytes, 0);
  const atLeast = Math.max(0, from - MOST_MERGED / 2);
  while (from > 0 && (from > atLeast || way[from - 1]!.bytes <= weight)) weight += way[--from]!.bytes;
  return from;
}
