import { FitdocError } from '@fitdoc/interface';
import { shortId, supersededHashes, type CheckpointEntry } from './entry.js';

/** Captured last first; among equals the one that takes the place of others, then the higher sequence. */
export function newestFirst(one: CheckpointEntry, other: CheckpointEntry): number {
  return (
    other.capturedAtMs - one.capturedAtMs ||
    supersededHashes(other).length - supersededHashes(one).length ||
    other.sequence - one.sequence ||
    other.createdAtMs - one.createdAtMs ||
    (one.key < other.key ? 1 : -1)
  );
}

/**
 * Who is whose parent among a set of checkpoints. A checkpoint names its parent by content hash; the parent is
 * the checkpoint with that hash, or else one that supersedes it, which holds the same state.
 */
export class Lineage {
  readonly entries: readonly CheckpointEntry[];
  readonly #byHash = new Map<string, CheckpointEntry>();
  readonly #superseding = new Map<string, CheckpointEntry[]>();

  constructor(entries: Iterable<CheckpointEntry>) {
    this.entries = [...entries];
    for (const entry of this.entries) {
      this.#byHash.set(entry.contentHash, entry);
      for (const hash of supersededHashes(entry)) {
        const others = this.#superseding.get(hash);
        if (others) others.push(entry);
        else this.#superseding.set(hash, [entry]);
      }
    }
  }

  /** All that hold the state with this content hash, best first. */
  providers(contentHash: string): CheckpointEntry[] {
    const exact = this.#byHash.get(contentHash);
    const others = [...(this.#superseding.get(contentHash) ?? [])].sort(newestFirst);
    return exact ? [exact, ...others] : others;
  }

  /** The one of them that is to stay when only one can: what supersedes, rather than what is superseded. */
  keeper(contentHash: string): CheckpointEntry | undefined {
    const providers = this.providers(contentHash);
    return providers[1] ?? providers[0];
  }

  /** The parent, or undefined for a base and for a checkpoint whose parent is missing. */
  parentOf(entry: CheckpointEntry): CheckpointEntry | undefined {
    return entry.parentContentHash === undefined ? undefined : this.providers(entry.parentContentHash)[0];
  }

  /** Whether another checkpoint here holds the same state and takes this one's place. */
  isSuperseded(entry: CheckpointEntry): boolean {
    return this.#superseding.has(entry.contentHash);
  }

  /** The checkpoints that no other has as its parent. */
  leaves(): CheckpointEntry[] {
    const parents = new Set(this.entries.map((entry) => this.parentOf(entry)));
    return this.entries.filter((entry) => !parents.has(entry));
  }

  /**
   * The checkpoint and all its ancestors, base first. REPOSITORY_DAMAGED when one is missing or the links
   * contradict each other.
   */
  chain(entry: CheckpointEntry): CheckpointEntry[] {
    const chain = [entry];
    const seen = new Set(chain);
    for (let at = entry; at.parentContentHash !== undefined;) {
      const parent = this.parentOf(at);
      if (!parent) throw missingParent(at, entry);
      if (parent.machineId !== at.machineId || parent.sequence >= at.sequence || seen.has(parent)) {
        throw new FitdocError(
          'REPOSITORY_DAMAGED',
          `Checkpoint ${shortId(at.id)} cannot follow its parent.`,
          {
            hint: 'The objects were mixed up; compare the repository with a copy.',
            details: { id: at.id, parentId: parent.id },
          },
        );
      }
      seen.add(parent);
      chain.push(parent);
      at = parent;
    }
    return chain.reverse();
  }
}

function missingParent(child: CheckpointEntry, asked: CheckpointEntry): FitdocError {
  const parent = child.parentId ?? '';
  return new FitdocError(
    'REPOSITORY_DAMAGED',
    `Checkpoint ${shortId(asked.id)} needs ${shortId(parent)}, which is missing or damaged.`,
    {
      hint: 'Restore a checkpoint before the missing one, or bring its object back from a copy.',
      details: { id: asked.id, missingParentId: parent, childId: child.id },
    },
  );
}
