import { cheapestWays, followWay, type Way } from '../catalogue/cheapest.js';
import { stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import type { Lineage } from '../catalogue/lineage.js';

/** A state, where it stands among the others. */
export interface StateNode {
  /** Among the nodes of its tree. */
  readonly index: number;
  /** Content hash. */
  readonly state: string;
  /** The object that stands for it among people. */
  readonly face: CheckpointEntry;
  readonly objects: readonly CheckpointEntry[];
  /** The nearest state below that an object here stands on. */
  readonly parent: StateNode | undefined;
  readonly children: StateNode[];
  /** Milliseconds since 1970, as the chain has it. */
  readonly timeMs: number;
}

/** What jobs are made from: a tree of states, or the part of one that is growing. */
export interface JobTree {
  /** By any hash that names the state. */
  at(contentHash: string): StateNode | undefined;
  /** The objects of the cheapest way from one state (undefined: from nothing) to another above it. */
  between(from: StateNode | undefined, to: StateNode): CheckpointEntry[] | undefined;
}

/** The objects of the cheapest way between two states that are joined by the nearest states between them. */
export function stretchBetween(from: StateNode, to: StateNode): CheckpointEntry[] | undefined {
  const stretch: CheckpointEntry[] = [];
  for (let at: StateNode | undefined = to; at && at !== from; at = at.parent) stretch.push(...at.objects);
  const start = { ...from.face, bytes: 0 };
  delete (start as { parentContentHash?: string }).parentContentHash;
  const inner = stretch.filter((entry) => entry.parentContentHash !== undefined);
  return followWay(cheapestWays([start, ...inner]), stateOf(to.face))?.slice(1);
}

/** The states that can be read, as the tree of which each stands on the nearest before; in their order. */
export class StateTree implements JobTree {
  readonly nodes: readonly StateNode[];
  readonly ways: ReadonlyMap<string, Way>;
  readonly #byState = new Map<string, StateNode>();
  readonly #names: Lineage;

  constructor(lineage: Lineage, timeOf: (entry: CheckpointEntry) => number) {
    this.#names = lineage;
    this.ways = lineage.ways();
    const showing = new Map<string, CheckpointEntry[]>();
    for (const entry of lineage.entries) {
      const state = lineage.stateOf(entry);
      const others = showing.get(state);
      if (others) others.push(entry);
      else showing.set(state, [entry]);
    }
    const faces = lineage.states().filter((face) => this.ways.has(stateOf(face)));
    for (const face of faces.sort((one, other) => one.sequence - other.sequence)) {
      const state = lineage.stateOf(face);
      const objects = showing.get(state)!;
      const node = {
        index: this.#byState.size,
        state,
        face,
        objects,
        parent: this.#nearest(objects),
        children: [],
        timeMs: timeOf(face),
      };
      node.parent?.children.push(node);
      this.#byState.set(state, node);
    }
    this.nodes = [...this.#byState.values()];
  }

  at(contentHash: string): StateNode | undefined {
    return this.#byState.get(this.#names.nameOf(contentHash));
  }

  between(from: StateNode | undefined, to: StateNode): CheckpointEntry[] | undefined {
    if (!from) return followWay(this.ways, stateOf(to.face));
    return stretchBetween(from, to);
  }

  #nearest(objects: readonly CheckpointEntry[]): StateNode | undefined {
    let nearest: StateNode | undefined;
    for (const { parentContentHash } of objects) {
      const parent = parentContentHash === undefined ? undefined : this.at(parentContentHash);
      if (parent && (!nearest || parent.face.sequence > nearest.face.sequence)) nearest = parent;
    }
    return nearest;
  }
}
