import type { CheckpointReader, ContentItem, NewCheckpointHeader } from '@fitdoc/format';
import {
  FitdocError,
  type CallOptions,
  type PutOptions,
  type Store,
  type StoreBody,
} from '@fitdoc/interface';
import type { PackReport } from './catalogue/packed/packer.js';
import { mapBounded } from './bounded.js';
import type { Claim } from './claims/claim.js';
import type { Writer } from './claims/claim-record.js';
import { Claims } from './claims/claims.js';
import type { ShownWriter } from './claims/conflict.js';
import type { Takeovers } from './claims/takeovers.js';
import { Catalogue, type ListFilter } from './catalogue/catalogue.js';
import { systemClock, type Clock } from './clock.js';
import { Derived } from './derived/derived.js';
import { assertPresent, raiseConfig, REPOSITORY_VERSION, type RepositoryConfig } from './config.js';
import { sealedCache, wipe, type Encryption } from './encryption/encryption.js';
import {
  makeIn,
  openIn,
  openOrMakeIn,
  type InitOptions,
  type Opened,
  type RepositoryOptions,
} from './opening.js';
import { isIntact, type CheckpointEntry, type ListedEntry } from './catalogue/entry.js';
import { Lineage, type ReadCost } from './catalogue/lineage.js';
import { restorePoints } from './catalogue/restore-points.js';
import { maintain, type MaintainOptions } from './catalogue/maintain.js';
import { objectAt, openObject } from './catalogue/objects.js';
import type { FoundLock } from './locks/lock-record.js';
import type { Lease, LockOptions } from './locks/lease.js';
import { LockManager } from './locks/lock-manager.js';
import { machinesOf, type MachineEntry } from './catalogue/machines.js';
import {
  Remover,
  type DeleteOptions,
  type DeleteReport,
  type PruneOptions,
  type PruneReport,
} from './retention/removal.js';
import { replaceRun, type ReplaceReport } from './retention/replace.js';
import { resolveSpec } from './catalogue/resolve.js';
import { wayTo } from './catalogue/way-to.js';
import type { RetentionPolicy } from './retention/policy.js';
import type { HistoryPlan } from './history/types.js';
import { Thinning, type ThinningOptions, type ThinningReport } from './retention/thinning.js';
import type { OpenCheckpointOptions } from './open-options.js';
import { Tags } from './catalogue/tags.js';
import { CheckpointPutter, type PutCheckpointOptions } from './writer.js';

export interface ResolveFilter extends ListFilter {
  /** Told, in a sentence, what a name was taken for that can mean two things: a local time that comes twice. */
  readonly onNote?: ((note: string) => void) | undefined;
}

/** Checkpoints of machines in a store. Any number of processes may have it open. */
export class Repository {
  readonly store: Store;
  /** Of an encrypted repository: who can open it, and what lies below `store`. */
  readonly encryption: Encryption | undefined;
  /** Names for checkpoints. */
  readonly tags: Tags;
  /** Which machines go on elsewhere, and may alone write their chains. */
  readonly takeovers: Takeovers;
  /** What was found out about machines and their states. */
  readonly derived: Derived;
  #config: RepositoryConfig;
  readonly #clock: Clock;
  readonly #catalogue: Catalogue;
  readonly #locks: LockManager;
  readonly #claims: Claims;
  readonly #putter: CheckpointPutter;
  readonly #remover: Remover;
  readonly #thinning: Thinning;

  private constructor(beneath: Store, { config, encryption }: Opened, options: RepositoryOptions) {
    const store = encryption?.store ?? beneath;
    this.store = store;
    this.encryption = encryption;
    this.#config = config;
    this.#clock = options.clock ?? systemClock;
    const near = options.cache?.(config.id);
    const cache = near && { cache: encryption ? sealedCache(near, encryption.bytes) : near };
    this.#catalogue = new Catalogue(store, { steady: () => this.#clock.steady(), ...cache });
    this.#locks = new LockManager(store, this.#clock, options.lockWaitMs);
    encryption?.keys.lockBy((call) => this.#locks.changeKeys(call));
    this.#claims = new Claims(store, this.#clock);
    this.takeovers = this.#claims.takeovers;
    this.derived = new Derived(store);
    this.tags = new Tags(
      store,
      () => this.#clock.now(),
      async (entry, call) => {
        const lease = await this.#locks.hold(entry.machineId, 'tag', [entry], callOf(call));
        return () => lease.release();
      },
    );
    this.#putter = new CheckpointPutter(store, this.#catalogue, this.#locks, (call) =>
      this.allowDerived(call),
    );
    this.#remover = new Remover(store, this.#catalogue, this.#locks, this.tags, this.#clock);
    this.#thinning = new Thinning(store, this.#catalogue, this.#locks, this.tags, this.#clock);
  }

  /** As it was when the repository was opened, or raised since. */
  get config(): RepositoryConfig {
    return this.#config;
  }

  /** Makes a repository in an open store. REPOSITORY_EXISTS; where it is encrypted, ARGUMENT_INVALID. */
  static async init(store: Store, options: InitOptions = {}): Promise<Repository> {
    return new Repository(store, await makeIn(store, options), options);
  }

  /**
   * Opens the repository in a store. REPOSITORY_NOT_FOUND, REPOSITORY_DAMAGED, REPOSITORY_INCOMPATIBLE; KEY_MISSING,
   * KEY_WRONG of an encrypted one.
   */
  static async open(store: Store, options: RepositoryOptions = {}): Promise<Repository> {
    return new Repository(store, await openIn(store, options), options);
  }

  /** Opens the repository in a store, or makes it where there is none. The errors of `open`, but for NOT_FOUND. */
  static async openOrInit(store: Store, options: InitOptions = {}): Promise<Repository> {
    return new Repository(store, await openOrMakeIn(store, options), options);
  }

  /**
   * Stores a checkpoint, pulling `content` as the store takes it. When it resolves the checkpoint is committed;
   * on failure or abort nothing of it is there. An increment's parent state must be in the repository, else
   * CHECKPOINT_NOT_FOUND. A header with `state` makes a derived object; a repository of version 1 is raised first. Errors besides: REPOSITORY_LOCKED, the store's, those of `content`.
   */
  put(
    header: NewCheckpointHeader,
    content: AsyncIterable<ContentItem>,
    options: PutCheckpointOptions = {},
  ): Promise<CheckpointEntry> {
    return this.#putter.put(header, content, options);
  }

  /**
   * All restore points by machine, sequence and time, one entry each, and the objects that cannot be read: those
   * have `damaged` set. Reads the tail of each object that was not read before, no more.
   */
  async list(filter: ListFilter = {}): Promise<ListedEntry[]> {
    return restorePoints(await this.#catalogue.list(filter));
  }

  /** The restore points of `list` that can be read. */
  async checkpoints(filter: ListFilter = {}): Promise<CheckpointEntry[]> {
    return (await this.list(filter)).filter(isIntact);
  }

  /** All objects, of which several may show the same state: captured ones, and those made of others. */
  objects(filter: ListFilter = {}): Promise<ListedEntry[]> {
    return this.#catalogue.list(filter);
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
  async resolve(spec: string, filter: ResolveFilter = {}): Promise<CheckpointEntry> {
    const tags = await this.tags.list(callOf(filter));
    const byName = new Map(tags.map((tag) => [tag.name, tag.contentHash]));
    for (let { onNote } = filter; ; onNote = undefined) {
      const entries = await this.checkpoints(filter);
      const entry = resolveSpec(spec, { entries, tags: byName, nowMs: this.#clock.now(), onNote });
      // What another process removed is resolved again without it.
      if (await this.#catalogue.isThere(entry, callOf(filter))) return entry;
    }
  }

  /**
   * Looks after the catalogue's segments: packs what no segment covers, and with `audit` holds all of them against
   * the objects. Derived data: nothing depends on its being done, but for how much a listing reads.
   */
  maintain(options: MaintainOptions = {}): Promise<PackReport> {
    return maintain(this.#catalogue, options);
  }

  /** Puts the object of another repository's checkpoint as it is, under its entry's key. Errors: the store's. */
  async adopt(entry: CheckpointEntry, body: StoreBody, options: PutOptions = {}): Promise<void> {
    await this.#catalogue.admit(entry.key, () => this.store.put(entry.key, body, options), callOf(options));
    this.#catalogue.add(entry);
  }

  /** Puts such an object as it lies, sealed with a key of this repository. Errors: the store's. */
  async adoptSealed(entry: CheckpointEntry, sealed: StoreBody, options: PutOptions = {}): Promise<void> {
    const beneath = this.encryption?.store.beneath ?? this.store;
    await this.#catalogue.admit(entry.key, () => beneath.put(entry.key, sealed, options), callOf(options));
    this.#catalogue.add(entry);
  }

  /**
   * What a spec names as `resolve` takes it, or an object by its key, which damaged ones have too: whatever `list`
   * and a verification print. The errors of `resolve`.
   */
  async find(spec: string, filter: ResolveFilter = {}): Promise<ListedEntry> {
    return (await objectAt(this.#catalogue, spec, filter)) ?? this.resolve(spec, filter);
  }

  /**
   * The objects to read for a restore point, base first: of all ways to it the one of fewest objects, then of
   * fewest bytes. REPOSITORY_DAMAGED, which names the object that is missing or damaged, where none is whole;
   * CHECKPOINT_NOT_FOUND when it was removed; STORE_DENIED, STORE_UNAVAILABLE when an object may be good but cannot
   * be read.
   */
  chain(entry: CheckpointEntry, options: CallOptions = {}): Promise<CheckpointEntry[]> {
    return wayTo(this.#catalogue, entry, options);
  }

  /** What reading a restore point takes; undefined where no way to it is whole. */
  async readCost(entry: CheckpointEntry, options: CallOptions = {}): Promise<ReadCost | undefined> {
    const listed = await this.#catalogue.list({ machine: entry.machineId, ...options });
    return new Lineage(listed.filter(isIntact)).cost(entry);
  }

  /** Throws STORE_UNAVAILABLE when the store no longer holds this repository: then nothing in it is lost. */
  assertPresent(options: CallOptions = {}): Promise<void> {
    return assertPresent(this.store, this.config.id, callOf(options));
  }

  /** Whether all these objects are there, with the sizes that they had. Errors: the store's. */
  async holds(
    objects: readonly Pick<CheckpointEntry, 'key' | 'bytes'>[],
    options: CallOptions = {},
  ): Promise<boolean> {
    const sizes = await mapBounded(objects, 16, ({ key }) => this.store.stat(key, callOf(options)));
    return objects.every(({ bytes }, index) => sizes[index]?.size === bytes);
  }

  /** Opens a checkpoint for reading. Holds no lock: see `share`. REPOSITORY_DAMAGED and the format's errors. */
  openCheckpoint(entry: CheckpointEntry, options: OpenCheckpointOptions = {}): Promise<CheckpointReader> {
    return openObject(this.store, this.#catalogue, entry, options);
  }

  /**
   * Keeps the objects of these checkpoints of one machine in place until the lease is released: for a restore,
   * which reads for long. All others may be removed meanwhile, but with `from` those that show a state with that
   * sequence or a later one: for who follows the chain. One of these may have gone before: look for it afterwards.
   * REPOSITORY_LOCKED.
   */
  hold(
    entries: readonly CheckpointEntry[],
    purpose: string,
    options: LockOptions & { readonly from?: number } = {},
  ): Promise<Lease> {
    const machine = entries[0]?.machineId;
    if (machine === undefined || entries.some((entry) => entry.machineId !== machine)) {
      throw new FitdocError('ARGUMENT_INVALID', 'A lease is over checkpoints of one machine.');
    }
    return this.#locks.hold(machine, purpose, entries, options);
  }

  /**
   * Keeps everything of a machine in place until the lease is released. Nothing of it can be thinned meanwhile:
   * who knows what it reads takes `hold`. Others may read and add. REPOSITORY_LOCKED.
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

  /** What is to become of a machine's history by a policy: what to merge, what goes, what stays. ARGUMENT_INVALID. */
  planHistory(machine: string, policy: RetentionPolicy, options: ThinningOptions = {}): Promise<HistoryPlan> {
    return this.#thinning.plan(machine, policy, options);
  }

  /** Deletes what no kept restore point needs after merging (the engine's `thin`) and nobody holds. REPOSITORY_LOCKED. */
  thinOut(machine: string, policy: RetentionPolicy, options: ThinningOptions = {}): Promise<ThinningReport> {
    return this.#thinning.remove(machine, policy, options);
  }

  /** For who merges checkpoints of a machine: one at a time. Holds off nobody else. REPOSITORY_LOCKED. */
  merging(machine: string, options: LockOptions = {}): Promise<Lease> {
    return this.#locks.merge(machine, options);
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

  /**
   * Says in the repository that it may hold derived objects, from when on fitdoc 0.1 refuses to open it. `put` does
   * so by itself.
   */
  async allowDerived(options: CallOptions = {}): Promise<void> {
    if (this.#config.version >= REPOSITORY_VERSION) return;
    await this.#locks.refuseOlder(options);
    this.#config = await raiseConfig(this.store, this.#config, options);
  }

  /**
   * Claims a machine's chain for one writer, of all processes and hosts, until the claim is released: two guests with
   * the same identity must not write one chain. MACHINE_CONFLICT, which names the other writer.
   */
  claim(machine: string, writer: Writer, options: CallOptions = {}): Promise<Claim> {
    return this.#claims.take(machine, writer, callOf(options));
  }

  /** Who writes the machine's chain now. Errors: the store's. */
  writers(machine: string, options: CallOptions = {}): Promise<ShownWriter[]> {
    return this.#claims.writers(machine, callOf(options));
  }

  /** The locks that hold now; those of ended processes are removed on the way. */
  locks(options: CallOptions = {}): Promise<FoundLock[]> {
    return this.#locks.list(options);
  }

  /** Removes a lock whoever holds it: only for one whose owner is known to be gone. */
  async breakLock(lock: FoundLock): Promise<void> {
    await this.store.delete(lock.key);
  }

  /** Ends what goes on behind callers' backs, lets go of all locks and of keys. The store stays open: it is the caller's. */
  async close(): Promise<void> {
    await this.#catalogue.close();
    await this.#claims.close();
    await this.#locks.close();
    if (this.encryption) wipe(this.encryption);
  }
}

function callOf(options: CallOptions): CallOptions {
  return options.signal ? { signal: options.signal } : {};
}
