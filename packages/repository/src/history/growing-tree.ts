import { followWay, relax, type Way } from '../catalogue/cheapest.js';
import { isDerived, stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import type { Calendar } from '../retention/calendar.js';
import { endOf, type Rung } from './rungs.js';
import { stretchBetween, type JobTree, type StateNode, type StateTree } from './state-tree.js';
import type { Level } from './types.js';

/** A node that objects are added to. */
interface GrowingNode extends StateNode {
  readonly objects: CheckpointEntry[];
  readonly parent: GrowingNode | undefined;
  readonly children: GrowingNode[];
}

/**
 * The newest part of one line of states, which grows at its end. It begins where a stretch of the widest level ends,
 * so that all rungs above can be told without what lies below. Holds on to nothing of the tree that it was made from.
 */
export class GrowingTree implements JobTree {
  readonly nodes: GrowingNode[] = [];
  readonly #byState = new Map<string, GrowingNode>();
  readonly #ways = new Map<string, Way>();
  /** For each level: the last state before the stretch that a state is in. */
  readonly #before: ReadonlyMap<Level, Map<StateNode, StateNode>>;
  readonly #calendar: Calendar;
  #below: readonly CheckpointEntry[] = [];

  private constructor(levels: readonly Level[], calendar: Calendar) {
    this.#before = new Map(levels.map((level) => [level, new Map()]));
    this.#calendar = calendar;
  }

  /** Undefined where the newest states are no plain line over the end of a stretch of the last of `levels`. */
  static of(tree: StateTree, levels: readonly Level[], calendar: Calendar): GrowingTree | undefined {
    const widest = levels.at(-1);
    if (!widest) return undefined;
    const line: StateNode[] = [];
    let at = tree.nodes.at(-1);
    for (; at && !(line.length > 0 && endOf(widest, at, calendar) === 'stretch'); at = at.parent)
      line.push(at);
    if (!at || line.some(({ children }) => children.length > 1) || at.children.length > 1) return undefined;
    const growing = new GrowingTree(levels, calendar);
    growing.#begin(at, tree.ways.get(stateOf(at.face))!);
    const below = [followWay(tree.ways, stateOf(at.face))!];
    for (const node of line.reverse()) {
      const known = growing.#append(node.face, node.timeMs);
      if (!known) return undefined;
      for (const entry of node.objects) if (entry !== node.face) growing.#put(known, entry);
      const way = tree.ways.get(known.state)!;
      growing.#ways.set(known.state, way);
      // Its shortest way may lead past where this begins.
      if (way.parent === undefined || !growing.#byState.has(way.parent))
        below.push(followWay(tree.ways, known.state)!);
    }
    growing.#below = below.flat();
    return growing;
  }

  at(contentHash: string): StateNode | undefined {
    return this.#byState.get(contentHash);
  }

  between(from: StateNode | undefined, to: StateNode): CheckpointEntry[] | undefined {
    return from ? stretchBetween(from, to) : followWay(this.#ways, stateOf(to.face));
  }

  /** Objects that reading a state takes. */
  objectsOf({ face }: StateNode): number {
    return this.#ways.get(stateOf(face))?.objects ?? Infinity;
  }

  /** All objects that what is told here stands on: those of its states, and of ways to them from below. */
  *objects(): Generator<CheckpointEntry> {
    yield* this.#below;
    for (const { objects } of this.nodes) yield* objects;
  }

  /** Takes in a capture that stands on the newest state; what it closes; undefined where it does not stand there. */
  capture(entry: CheckpointEntry): Rung[] | undefined {
    const head = this.nodes.at(-1)!;
    const node = this.#append(entry, entry.capturedAtMs);
    return node && this.#endingAt(head);
  }

  /** Takes in what was made of others; false where it shows or stands on what is not here. */
  derive(entry: CheckpointEntry): boolean {
    const node = this.#byState.get(stateOf(entry));
    const parent = entry.parentContentHash;
    if (!node || node === this.nodes[0] || parent === undefined || !this.#byState.has(parent)) return false;
    this.#put(node, entry);
    return true;
  }

  /** The rungs that end at any state here. */
  rungs(): Rung[] {
    return this.nodes.flatMap((node) => this.#endingAt(node));
  }

  #begin(node: StateNode, way: Way): void {
    this.#ways.set(stateOf(node.face), way);
    this.#add({ ...node, index: 0, objects: [...node.objects], parent: undefined, children: [] });
  }

  #append(face: CheckpointEntry, timeMs: number): GrowingNode | undefined {
    const parent = this.nodes.at(-1)!;
    if (face.parentContentHash === undefined || face.sequence <= parent.face.sequence) return undefined;
    if (
      isDerived(face) ? !this.#byState.has(face.parentContentHash) : face.parentContentHash !== parent.state
    )
      return undefined;
    const place = { index: this.nodes.length, parent, children: [], timeMs };
    const node: GrowingNode = { state: stateOf(face), face, objects: [face], ...place };
    parent.children.push(node);
    for (const [level, before] of this.#before) {
      const local = (ms: number) => Math.floor(this.#calendar.local(ms) / level.widthMs);
      const below = local(parent.timeMs) === local(timeMs) ? before.get(parent) : undefined;
      before.set(node, below ?? parent);
    }
    this.#add(node);
    relax(this.#ways, face);
    return node;
  }

  #add(node: GrowingNode): void {
    this.nodes.push(node);
    this.#byState.set(node.state, node);
  }

  /** A way may be shorter by it, and so all that go over its state. */
  #put(node: GrowingNode, entry: CheckpointEntry): void {
    node.objects.push(entry);
    for (let at = node.index; at < this.nodes.length; at++)
      for (const each of this.nodes[at]!.objects) relax(this.#ways, each);
  }

  #endingAt(to: StateNode): Rung[] {
    const rungs: Rung[] = [];
    for (const [level, before] of this.#before) {
      const from = before.get(to);
      const end = from && endOf(level, to, this.#calendar);
      if (from && end) rungs.push({ level, from, to, half: end === 'half' });
    }
    return rungs;
  }
}
