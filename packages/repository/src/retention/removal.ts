import { throwIfAborted, type CallOptions, type Store } from '@fitdoc/interface';
import type { Catalogue } from '../catalogue/catalogue.js';
import type { ListedEntry } from '../catalogue/entry.js';
import { isIntact, type CheckpointEntry } from '../catalogue/entry.js';
import { Lineage } from '../catalogue/lineage.js';
import { refuseWithheld } from '../catalogue/unreadable.js';
import type { Clock } from '../clock.js';
import { Derived } from '../derived/derived.js';
import { tidyDerived } from '../derived/tidy.js';
import type { Lease, RemovalLease } from '../locks/lease.js';
import type { LockManager } from '../locks/lock-manager.js';
import { planPrune, reasonsOfTags, type PrunePlan } from './prune.js';
import { planRemoval, type KeptCheckpoint } from './removal-plan.js';
import { checkPolicy, type RetentionPolicy } from './policy.js';
import type { Tags } from '../catalogue/tags.js';

export interface RemovalOptions extends CallOptions {
  /** Only say what would be done. Default false. */
  readonly dryRun?: boolean;
  /** Milliseconds to wait for who uses the machine. Default: the repository's. */
  readonly waitMs?: number;
}

export interface DeleteOptions extends RemovalOptions {
  /** Also delete everything that descends from the given. Default false: what has children stays. */
  readonly descendants?: boolean;
}

export interface DeleteReport {
  /** Deleted, or with `dryRun` to be deleted, in this order. */
  readonly removed: readonly ListedEntry[];
  /** Asked for, but kept, each with the reasons. */
  readonly kept: readonly KeptCheckpoint[];
  readonly freedBytes: number;
}

export interface PruneOptions extends RemovalOptions {
  /** Only this machine, by id. Default: every machine for itself. */
  readonly machine?: string;
}

export interface PruneReport {
  readonly machines: readonly PrunePlan[];
  readonly removed: number;
  readonly freedBytes: number;
}

/** What goes of one machine's checkpoints. */
interface Removal {
  readonly remove: readonly ListedEntry[];
}

/**
 * Removes checkpoints. What goes is announced, and looked at once more when nobody can get hold of it any longer;
 * who reads and writes anything else goes on meanwhile. Objects go child before parent, so that an end at any
 * moment leaves only whole chains.
 */
export class Remover {
  constructor(
    private readonly store: Store,
    private readonly catalogue: Catalogue,
    private readonly locks: LockManager,
    private readonly tags: Tags,
    private readonly clock: Clock,
  ) {}

  async delete(entries: readonly ListedEntry[], options: DeleteOptions): Promise<DeleteReport> {
    const removed: ListedEntry[] = [];
    const kept: KeptCheckpoint[] = [];
    for (const machine of new Set(entries.map((entry) => entry.machineId))) {
      const keys = new Set(entries.filter((entry) => entry.machineId === machine).map((entry) => entry.key));
      const plan = await this.#carryOut(machine, 'delete', options, () =>
        this.#planDelete(machine, keys, options),
      );
      removed.push(...plan.remove);
      kept.push(...plan.kept);
    }
    return { removed, kept, freedBytes: bytesOf(removed) };
  }

  async prune(policy: RetentionPolicy, options: PruneOptions): Promise<PruneReport> {
    checkPolicy(policy);
    const listed = await this.catalogue.listIntact(filterOf(options, options.machine));
    const machines: PrunePlan[] = [];
    for (const machine of new Set(listed.map((entry) => entry.machineId))) {
      const plan = (): Promise<PrunePlan> => this.#planPrune(machine, policy, options);
      const first = await plan();
      const isDone = first.remove.length === 0 || options.dryRun === true;
      machines.push(isDone ? first : await this.#carryOut(machine, 'prune', options, plan));
    }
    const removed = machines.flatMap((plan) => plan.remove);
    return { machines, removed: removed.length, freedBytes: bytesOf(removed) };
  }

  async #planDelete(
    machine: string,
    keys: ReadonlySet<string>,
    options: DeleteOptions,
  ): Promise<{ remove: ListedEntry[]; kept: readonly KeptCheckpoint[] }> {
    const listed = await this.catalogue.list(filterOf(options, machine));
    refuseWithheld(listed);
    const intact = listed.filter(isIntact);
    const lineage = new Lineage(intact);
    // A restore point goes with all objects that show it; one that another has superseded goes alone.
    const points = lineage.states().filter((entry) => keys.has(entry.key));
    const states = new Set(points.map((entry) => lineage.stateOf(entry)));
    if (options.descendants) addDescendants(lineage, states);
    const goes = (entry: CheckpointEntry) => keys.has(entry.key) || states.has(lineage.stateOf(entry));
    const unwanted = new Set(intact.filter(goes));
    const tagged = reasonsOfTags(lineage, await this.tags.list(filterOf(options)));
    const plan = planRemoval(intact, unwanted, (entry) => tagged.get(entry) ?? []);
    const damaged = listed.filter((entry) => !isIntact(entry) && keys.has(entry.key));
    return { remove: [...plan.remove, ...damaged], kept: plan.kept };
  }

  async #planPrune(machine: string, policy: RetentionPolicy, options: CallOptions): Promise<PrunePlan> {
    const entries = await this.catalogue.listIntact(filterOf(options, machine));
    return planPrune(machine, entries, policy, await this.tags.list(filterOf(options)), this.clock.now());
  }

  /** Plans, and removes what the plan says unless it is a dry run. Gives what was planned and done. */
  async #carryOut<Plan extends Removal>(
    machine: string,
    purpose: string,
    options: RemovalOptions,
    plan: () => Promise<Plan>,
  ): Promise<Plan> {
    if (options.dryRun) return plan();
    const lease = await this.locks.remove(machine, purpose, options);
    try {
      // Once, what segments say is held against the objects: a state that is gone must not count as a way.
      await this.catalogue.list({ ...filterOf(options, machine), audit: true });
      const made = await this.#announced(lease, plan);
      const remove = await this.#stillUnneeded(machine, made.remove, await plan(), options);
      await this.#remove(remove, lease, options);
      this.catalogue.thinned(machine);
      if (remove.length > 0) await tidyDerived(new Derived(this.store), this.catalogue, machine, options);
      return { ...made, remove };
    } finally {
      await lease.release();
    }
  }

  async #announced<Plan extends Removal>(lease: RemovalLease, plan: () => Promise<Plan>): Promise<Plan> {
    for (;;) {
      const made = await plan();
      if (made.remove.length === 0 || (await lease.announce(made.remove, { wait: true }))) return made;
    }
  }

  /** Of what was announced, what nothing builds on that was put before the announcement was seen. */
  async #stillUnneeded(
    machine: string,
    announced: readonly ListedEntry[],
    { remove }: Removal,
    options: CallOptions,
  ): Promise<ListedEntry[]> {
    if (announced.length === 0) return [];
    const unwanted = new Set(remove.map(({ key }) => key));
    const keys = new Set(announced.map(({ key }) => key).filter((key) => unwanted.has(key)));
    const plan = await this.#planDelete(machine, keys, { ...options, descendants: false });
    return plan.remove;
  }

  async #remove(entries: readonly ListedEntry[], lease: Lease, options: CallOptions): Promise<void> {
    for (const [index, entry] of entries.entries()) {
      throwIfAborted(options.signal);
      lease.assertFresh();
      await this.store.delete(entry.key, options.signal ? { signal: options.signal } : {});
      this.catalogue.forget(entry.key);
      const done = { done: index + 1, total: entries.length };
      options.onProgress?.({ phase: 'removing checkpoints', ...done, unit: 'checkpoints' });
    }
  }
}

function filterOf(options: CallOptions, machine?: string): { signal?: AbortSignal; machine?: string } {
  return {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(machine === undefined ? {} : { machine }),
  };
}

function addDescendants(lineage: Lineage, states: Set<string>): void {
  // Parents count lower than their children, so one pass meets every parent before its children.
  for (const entry of [...lineage.entries].sort((one, other) => one.sequence - other.sequence)) {
    const parent = lineage.parentStateOf(entry);
    if (parent !== undefined && states.has(parent)) states.add(lineage.stateOf(entry));
  }
}

function bytesOf(entries: readonly ListedEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.bytes, 0);
}
