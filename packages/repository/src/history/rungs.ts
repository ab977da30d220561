import type { Calendar } from '../retention/calendar.js';
import type { Level } from './types.js';
import type { StateNode, StateTree } from './state-tree.js';

/** A pair of states that one object of a level joins. */
export interface Rung {
  readonly level: Level;
  readonly from: StateNode;
  readonly to: StateNode;
  /** Whether it goes to the middle of a stretch only. */
  readonly half: boolean;
}

/** Whether a state is the last of a level's stretch, or of the first part of one, as its children tell. */
export function endOf(level: Level, node: StateNode, calendar: Calendar): 'stretch' | 'half' | undefined {
  const { widthMs, halfMs } = level;
  const ownMs = calendar.local(node.timeMs);
  const [own, into] = [Math.floor(ownMs / widthMs), ownMs % widthMs];
  const { children } = node;
  if (children.some(({ timeMs }) => Math.floor(calendar.local(timeMs) / widthMs) !== own)) return 'stretch';
  if (halfMs === undefined || into >= halfMs) return undefined;
  return children.some(({ timeMs }) => calendar.local(timeMs) % widthMs >= halfMs) ? 'half' : undefined;
}

/** Where the ladder's rungs belong in a tree of states: stretches are closed where a state of the next stands. */
export class Rungs {
  /** For each level, by the numbers of states in the tree: the last state before the stretch that it is in. */
  readonly #before: ReadonlyMap<Level, readonly (StateNode | undefined)[]>;
  readonly #calendar: Calendar;
  readonly #tree: StateTree;

  constructor(tree: StateTree, levels: readonly Level[], calendar: Calendar) {
    this.#tree = tree;
    this.#calendar = calendar;
    const local = Float64Array.from(tree.nodes, ({ timeMs }) => calendar.local(timeMs));
    this.#before = new Map(levels.map((level) => [level, this.#climb(level, local)]));
  }

  /** The last state of the stretch before the one that a state is in; undefined in the first. */
  before(level: Level, { index }: StateNode): StateNode | undefined {
    return this.#before.get(level)?.[index];
  }

  /** All rungs of closed stretches, and of halves that are passed. */
  *all(): Generator<Rung> {
    for (const [level, before] of this.#before) {
      for (const to of this.#tree.nodes) {
        const from = before[to.index];
        if (!from) continue;
        const end = endOf(level, to, this.#calendar);
        if (end) yield { level, from, to, half: end === 'half' };
      }
    }
  }

  #climb({ widthMs }: Level, local: Float64Array): (StateNode | undefined)[] {
    const before = new Array<StateNode | undefined>(local.length);
    for (const { index, parent } of this.#tree.nodes) {
      const isSame =
        parent && Math.floor(local[parent.index]! / widthMs) === Math.floor(local[index]! / widthMs);
      // The first stretch begins with the line's first state.
      before[index] = isSame ? (before[parent.index] ?? parent) : parent;
    }
    return before;
  }
}
