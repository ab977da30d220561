import { FitdocError } from '@fitdoc/interface';
import { cheapestWays, followWay, type Way } from './cheapest.js';
import {
  isDerived,
  providedHashes,
  shortId,
  stateOf,
  supersededHashes,
  type CheckpointEntry,
} from './entry.js';
import { lastFirst } from './order.js';
import { StateNaming } from './state-names.js';

/** What reading a state takes. */
export interface ReadCost {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * How the checkpoints of a repository stand on one another: a graph with states as nodes and objects as edges,
 * from the state that an object names as its parent to the one that it shows. Several objects may show a state
 * (the captured one, short cuts, a base brought forward, a merge); each will do to stand on. A chain is the path
 * that costs least to read: fewest objects, then fewest bytes.
 */
export class Lineage {
  readonly entries: readonly CheckpointEntry[];
  readonly #names: StateNaming;
  /** By each hash that a child may name. */
  readonly #providers = new Map<string, CheckpointEntry[]>();
  /** By the one name of the state. */
  readonly #showing = new Map<string, CheckpointEntry[]>();
  #ways: Map<string, Way> | undefined;
  #states: readonly CheckpointEntry[] | undefined;

  constructor(entries: Iterable<CheckpointEntry>) {
    this.entries = [...entries];
    this.#names = new StateNaming(this.entries);
    for (const entry of this.entries) {
      for (const hash of providedHashes(entry)) addTo(this.#providers, hash, entry);
      addTo(this.#showing, this.nameOf(stateOf(entry)), entry);
    }
  }

  /** One name for a state, which may have several: see `supersedes` in the format. */
  nameOf(contentHash: string): string {
    return this.#names.nameOf(contentHash);
  }

  /** The one name of the state that an entry shows. */
  stateOf(entry: CheckpointEntry): string {
    return this.nameOf(stateOf(entry));
  }

  /** The one name of the state that an entry stands on; undefined for a base. */
  parentStateOf(entry: CheckpointEntry): string | undefined {
    return entry.parentContentHash === undefined ? undefined : this.nameOf(entry.parentContentHash);
  }

  /** All objects that a child which names this hash may stand on; the captured one with exactly it first. */
  providers(contentHash: string): CheckpointEntry[] {
    const rank = (entry: CheckpointEntry) => (!isDerived(entry) && entry.contentHash === contentHash ? 0 : 1);
    return [...(this.#providers.get(contentHash) ?? [])].sort(
      (one, other) => rank(one) - rank(other) || compareFaces(one, other),
    );
  }

  /** The object that stands for a state among people: the captured one while it is there. */
  face(contentHash: string): CheckpointEntry | undefined {
    return faceOf(this.#showing.get(this.nameOf(contentHash)) ?? []);
  }

  /** One entry for each state, in the order of `entries`. */
  states(): CheckpointEntry[] {
    if (!this.#states) {
      const faces = new Set<CheckpointEntry>();
      for (const all of this.#showing.values()) faces.add(faceOf(all)!);
      this.#states = this.entries.filter((entry) => faces.has(entry));
    }
    return [...this.#states];
  }

  /** An object that shows the parent state, or undefined for a base and where there is none. */
  parentOf(entry: CheckpointEntry): CheckpointEntry | undefined {
    return entry.parentContentHash === undefined ? undefined : this.providers(entry.parentContentHash)[0];
  }

  /** The restore point before: the nearest state that any object of this one's state stands on. */
  previousOf(entry: CheckpointEntry): CheckpointEntry | undefined {
    const showing = this.#showing.get(this.stateOf(entry)) ?? [];
    const parents = showing.flatMap((each) => this.parentOf(each) ?? []);
    const whole = parents.filter((parent) => this.cost(parent) && parent.sequence < entry.sequence);
    const nearest = whole.sort(lastFirst)[0];
    return nearest && this.face(stateOf(nearest));
  }

  /** The states that nothing stands on. */
  leaves(): CheckpointEntry[] {
    const parents = new Set(this.entries.map((entry) => this.parentStateOf(entry)));
    return this.states().filter((entry) => !parents.has(this.stateOf(entry)));
  }

  /** The cheapest way to every state that can be read, by each hash that names it. */
  ways(): ReadonlyMap<string, Way> {
    this.#ways ??= cheapestWays(this.entries);
    return this.#ways;
  }

  /** What reading an entry's state takes; undefined where it cannot be. */
  cost(entry: CheckpointEntry): ReadCost | undefined {
    const way = this.ways().get(stateOf(entry));
    return way && { objects: way.objects, bytes: way.bytes };
  }

  /**
   * The objects to read for an entry's state, base first; the last may be another than the entry itself.
   * REPOSITORY_DAMAGED when something is missing on every way, or the links contradict each other.
   */
  chain(entry: CheckpointEntry): CheckpointEntry[] {
    const path = followWay(this.ways(), stateOf(entry));
    if (path) return path;
    throw this.#whyNot(entry);
  }

  #whyNot(asked: CheckpointEntry): FitdocError {
    const seen = new Set<CheckpointEntry>();
    if (this.providers(stateOf(asked)).length === 0) return notThere(asked);
    for (let at = asked; at.parentContentHash !== undefined;) {
      const parent = this.parentOf(at);
      if (!parent) return missingParent(at, asked);
      if (parent.machineId !== at.machineId || parent.sequence >= at.sequence || seen.has(parent)) {
        return new FitdocError(
          'REPOSITORY_DAMAGED',
          `Checkpoint ${shortId(at.id)} cannot follow its parent.`,
          {
            hint: 'The objects were mixed up; compare the repository with a copy.',
            details: { id: at.id, parentId: parent.id },
          },
        );
      }
      seen.add(parent);
      at = parent;
    }
    return notThere(asked);
  }
}

function notThere({ id }: CheckpointEntry): FitdocError {
  return new FitdocError('CHECKPOINT_NOT_FOUND', `Checkpoint ${shortId(id)} is not there any more.`, {
    hint: 'It was deleted or pruned meanwhile; list shows what there is.',
    details: { id },
  });
}

function addTo(map: Map<string, CheckpointEntry[]>, key: string, entry: CheckpointEntry): void {
  const others = map.get(key);
  if (others) others.push(entry);
  else map.set(key, [entry]);
}

const ROLES = ['merged', 'shortcut', 'base'] as const;

function faceOf(showing: readonly CheckpointEntry[]): CheckpointEntry | undefined {
  let [face] = showing;
  for (let at = 1; at < showing.length; at++) if (compareFaces(showing[at]!, face!) < 0) face = showing[at];
  return face;
}

/** Captured before derived; of the captured, what supersedes before what is superseded. */
function compareFaces(one: CheckpointEntry, other: CheckpointEntry): number {
  const role = (entry: CheckpointEntry) => (entry.role === undefined ? -1 : ROLES.indexOf(entry.role));
  return (
    role(one) - role(other) ||
    supersededHashes(other).length - supersededHashes(one).length ||
    one.bytes - other.bytes ||
    lastFirst(one, other)
  );
}

function missingParent(child: CheckpointEntry, asked: CheckpointEntry): FitdocError {
  const parent = child.parentId ?? '';
  return new FitdocError(
    'REPOSITORY_DAMAGED',
    `Checkpoint ${shortId(asked.id)} needs ${shortId(parent)}, which is missing or damaged.`,
    {
      hint: 'Restore a checkpoint before the missing one, or bring its object back from a copy.',
      details: {
        id: asked.id,
        missingParentId: parent,
        childId: child.id,
        childSequence: child.sequence,
      },
    },
  );
}
