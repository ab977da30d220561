import {
  openCheckpoint,
  storeSource,
  type BatchCodec,
  type CheckpointReader,
  type ContentItem,
  type NewCheckpointHeader,
} from '@fitdoc/format';
import { FitdocError, isFitdocError, throwIfAborted, type CallOptions, type Store } from '@fitdoc/interface';
import { Catalogue, type ListFilter } from './catalogue.js';
import { systemClock, type Clock } from './clock.js';
import { createConfig, readConfig, type RepositoryConfig } from './config.js';
import { shortId, type CheckpointEntry, type ListedEntry } from './entry.js';
import { Lineage } from './lineage.js';
import type { FoundLock } from './lock-record.js';
import { LockManager, type Lease, type LockOptions } from './lock-manager.js';
import { machinesOf, type MachineEntry } from './machines.js';
import {
  Remover,
  type DeleteOptions,
  type DeleteReport,
  type PruneOptions,
  type PruneReport,
} from './removal.js';
import { replaceRun, type ReplaceReport } from './replace.js';
import { resolveSpec } from './resolve.js';
import type { RetentionPolicy } from './retention.js';
import { Tags } from './tags.js';
import { CheckpointPutter, type PutCheckpointOptions } from './writer.js';

export interface RepositoryOptions extends CallOptions {
  /** Milliseconds to wait for other users of a machine before REPOSITORY_LOCKED. Default 30 000. */
  readonly lockWaitMs?: number;
  /** For tests. Default: the system's. */
  readonly clock?: Clock;
}

/** Checkpoints of machines in a store. Any number of processes may have it open. */
export class Repository {
  readonly config: RepositoryConfig;
  readonly store: Store;
  /** Names for checkpoints. */
  readonly tags: Tags;
  readonly #clock: Clock;
  readonly #catalogue: Catalogue;
  readonly #locks: LockManager;
  readonly #putter: CheckpointPutter;
  readonly #remover: Remover;

  private constructor(store: Store, config: RepositoryConfig, options: RepositoryOptions) {
    this.store = store;
    this.config = config;
    this.#clock = options.clock ?? systemClock;
    this.tags = new Tags(store, () => this.#clock.now());
    this.#catalogue = new Catalogue(store);
    this.#locks = new LockManager(store, this.#clock, options.lockWaitMs);
    this.#putter = new CheckpointPutter(store, this.#catalogue, this.#locks);
    this.#remover = new Remover(store, this.#catalogue, this.#locks, this.tags);
  }

  /** Makes a repository in an open store. REPOSITORY_EXISTS. */
  static async init(store: Store, options: RepositoryOptions = {}): Promise<Repository> {
    const now = (options.clock ?? systemClock).now();
    return new Repository(store, await createConfig(store, now, callOf(options)), options);
  }

  /** Opens the repository in a store. REPOSITORY_NOT_FOUND, REPOSITORY_DAMAGED, REPOSITORY_INCOMPATIBLE. */
  static async open(store: Store, options: RepositoryOptions = {}): Promise<Repository> {
    return new Repository(store, await readConfig(store, callOf(options)), options);
  }

  /** Opens the repository in a store, or makes it where there is none. The errors of `open`, but for NOT_FOUND. */
  static async openOrInit(store: Store, options: RepositoryOptions = {}): Promise<Repository> {
    try {
      return await Repository.open(store, options);
    } catch (error) {
      if (!isFitdocError(error, 'REPOSITORY_NOT_FOUND')) throw error;
    }
    try {
      return await Repository.init(store, options);
    } catch (error) {
      // Another process made it just now.
      if (!isFitdocError(error, 'REPOSITORY_EXISTS')) throw error;
      return await Repository.open(store, options);
    }
  }

  /**
   * Stores a checkpoint, pulling `content` as the store takes it. When it resolves the checkpoint is committed;
   * on failure or abort nothing of it is there. An increment's parent must be in the repository, else
   * CHECKPOINT_NOT_FOUND. Errors besides: REPOSITORY_LOCKED, the store's, those of `content`.
   */
  put(
    header: NewCheckpointHeader,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions = {},
  ): Promise<CheckpointEntry> {
    return this.#putter.put(header, content, options);
  }

  /**
   * All checkpoints by machine, sequence and time; those that cannot be read have `damaged` set. Reads the tail
   * of each object that was not read before, no more.
   */
  list(filter: ListFilter = {}): Promise<ListedEntry[]> {
    return this.#catalogue.list(filter);
  }

  /** The checkpoints of `list` that can be read. */
  checkpoints(filter: ListFilter = {}): Promise<CheckpointEntry[]> {
    return this.#catalogue.listIntact(filter);
  }

  /** The machines that have checkpoints, by id. */
  async machines(options: CallOptions = {}): Promise<MachineEntry[]> {
    return machinesOf(await this.#catalogue.list(options));
  }

  /**
   * The checkpoint that a spec names: `latest`, `latest~2`, a tag, a time (`2026-03-01T10:00`, `@-5m`), an id or
   * four and more digits that begin it; with `MACHINE/` before it, or with `machine` (an id), of that machine.
   * Errors: CHECKPOINT_NOT_FOUND and CHECKPOINT_AMBIGUOUS, with `details.candidates`; ARGUMENT_INVALID.
   */
  async resolve(spec: string, filter: ListFilter = {}): Promise<CheckpointEntry> {
    const entries = await this.#catalogue.listIntact(filter);
    const tags = await this.tags.list(callOf(filter));
    const byName = new Map(tags.map((tag) => [tag.name, tag.contentHash]));
    return resolveSpec(spec, { entries, tags: byName, nowMs: this.#clock.now() });
  }

  /** The checkpoint and all that it builds on, base first, every link checked. REPOSITORY_DAMAGED. */
  async chain(entry: CheckpointEntry, options: CallOptions = {}): Promise<CheckpointEntry[]> {
    const filter = { machine: entry.machineId, ...options };
    return new Lineage(await this.#catalogue.listIntact(filter)).chain(entry);
  }

  /** Opens a checkpoint for reading. Holds no lock: see `share`. REPOSITORY_DAMAGED and the format's errors. */
  async openCheckpoint(
    entry: CheckpointEntry,
    options: CallOptions & { readonly codec?: BatchCodec } = {},
  ): Promise<CheckpointReader> {
    const { signal, codec } = options;
    throwIfAborted(signal);
    const source = storeSource(this.store, entry.key, entry.bytes);
    const reader = await openCheckpoint(source, {
      ...(signal ? { signal } : {}),
      ...(codec ? { codec } : {}),
    });
    if (reader.summary.contentHash === entry.contentHash) return reader;
    throw new FitdocError(
      'REPOSITORY_DAMAGED',
      `The object of checkpoint ${shortId(entry.id)} was changed.`,
      {
        hint: 'Bring it back from a copy.',
        details: { key: entry.key, id: entry.id, found: reader.summary.id },
      },
    );
  }

  /**
   * Keeps everything of a machine in place until the lease is released: for a restore, which reads for long.
   * Others may read and add meanwhile. REPOSITORY_LOCKED.
   */
  share(machine: string, purpose: string, options: LockOptions = {}): Promise<Lease> {
    return this.#locks.share(machine, purpose, options);
  }

  /**
   * Deletes checkpoints, damaged ones too. What a remaining checkpoint builds on stays, and what has a tag, and
   * is reported as kept. REPOSITORY_LOCKED.
   */
  delete(entries: readonly ListedEntry[], options: DeleteOptions = {}): Promise<DeleteReport> {
    return this.#remover.delete(entries, options);
  }

  /**
   * Deletes what the policy does not keep and nothing kept builds on, machine by machine. Damaged checkpoints
   * stay. The report says for each checkpoint that stays why it does. REPOSITORY_LOCKED, ARGUMENT_INVALID.
   */
  prune(policy: RetentionPolicy, options: PruneOptions = {}): Promise<PruneReport> {
    return this.#remover.prune(policy, options);
  }

  /**
   * Puts one checkpoint in the place of an unbroken run of a chain (base-most first): it has the parent of the
   * first, and the state of the last, whose children become its own. The header's parent, sequence, kind and
   * `supersedes` are set here. Then deletes the run; what cannot go (a fork, a tag, a user that does not let go)
   * stays, harmlessly, for the next prune. Readers see the chain whole at every moment.
   */
  replace(
    run: readonly CheckpointEntry[],
    header: Omit<NewCheckpointHeader, 'parent' | 'sequence' | 'kind' | 'supersedes'>,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions = {},
  ): Promise<ReplaceReport> {
    return replaceRun(this, run, header, content, options);
  }

  /** The locks that hold now; those of ended processes are removed on the way. */
  locks(options: CallOptions = {}): Promise<FoundLock[]> {
    return this.#locks.list(options);
  }

  /** Removes a lock whoever holds it: only for one whose owner is known to be gone. */
  async breakLock(lock: FoundLock): Promise<void> {
    await this.store.delete(lock.key);
  }

  /** Lets go of all locks. The store stays open: it is the caller's. */
  close(): Promise<void> {
    return this.#locks.close();
  }
}

function callOf(options: CallOptions): CallOptions {
  return options.signal ? { signal: options.signal } : {};
}
