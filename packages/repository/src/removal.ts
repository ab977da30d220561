import { throwIfAborted, type CallOptions, type Store } from '@fitdoc/interface';
import type { Catalogue } from './catalogue.js';
import type { ListedEntry } from './entry.js';
import { isIntact, type CheckpointEntry } from './entry.js';
import { Lineage } from './lineage.js';
import type { LockManager, Lease } from './lock-manager.js';
import { planPrune, reasonsOfTags, type PrunePlan } from './prune.js';
import { planRemoval, type KeptCheckpoint } from './removal-plan.js';
import { checkPolicy, type RetentionPolicy } from './retention.js';
import type { Tags } from './tags.js';

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

/**
 * Removes checkpoints. The plan is made, or made again, while nobody else uses the machine; objects go child
 * before parent, so that an end at any moment leaves only whole chains.
 */
export class Remover {
  constructor(
    private readonly store: Store,
    private readonly catalogue: Catalogue,
    private readonly locks: LockManager,
    private readonly tags: Tags,
  ) {}

  async delete(entries: readonly ListedEntry[], options: DeleteOptions): Promise<DeleteReport> {
    const removed: ListedEntry[] = [];
    const kept: KeptCheckpoint[] = [];
    for (const machine of new Set(entries.map((entry) => entry.machineId))) {
      const keys = new Set(entries.filter((entry) => entry.machineId === machine).map((entry) => entry.key));
      const plan = await this.#exclusively(machine, 'delete', options, async (lease) => {
        const made = await this.#planDelete(machine, keys, options);
        await this.#remove(made.remove, lease, options);
        return made;
      });
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
      const first = await this.#planPrune(machine, policy, options);
      const plan =
        first.remove.length === 0
          ? first
          : await this.#exclusively(machine, 'prune', options, async (lease) => {
              const made = await this.#planPrune(machine, policy, options);
              await this.#remove(made.remove, lease, options);
              return made;
            });
      machines.push(plan);
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
    const intact = listed.filter(isIntact);
    const lineage = new Lineage(intact);
    const unwanted = new Set(intact.filter((entry) => keys.has(entry.key)));
    if (options.descendants) addDescendants(lineage, unwanted);
    const tagged = reasonsOfTags(lineage, await this.tags.list(filterOf(options)));
    const plan = planRemoval(intact, unwanted, (entry) => tagged.get(entry) ?? []);
    const damaged = listed.filter((entry) => !isIntact(entry) && keys.has(entry.key));
    return { remove: [...plan.remove, ...damaged], kept: plan.kept };
  }

  async #planPrune(machine: string, policy: RetentionPolicy, options: CallOptions): Promise<PrunePlan> {
    const entries = await this.catalogue.listIntact(filterOf(options, machine));
    return planPrune(machine, entries, policy, await this.tags.list(filterOf(options)));
  }

  async #exclusively<T>(
    machine: string,
    purpose: string,
    options: RemovalOptions,
    body: (lease: Lease | undefined) => Promise<T>,
  ): Promise<T> {
    if (options.dryRun) return body(undefined);
    const lease = await this.locks.exclude(machine, purpose, options);
    try {
      return await body(lease);
    } finally {
      await lease.release();
    }
  }

  /** Without a lease (a dry run) nothing is removed. */
  async #remove(
    entries: readonly ListedEntry[],
    lease: Lease | undefined,
    options: CallOptions,
  ): Promise<void> {
    if (!lease) return;
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

function addDescendants(lineage: Lineage, unwanted: Set<CheckpointEntry>): void {
  for (let before = -1; before !== unwanted.size;) {
    before = unwanted.size;
    for (const entry of lineage.entries) {
      const parent = lineage.parentOf(entry);
      if (parent && unwanted.has(parent)) unwanted.add(entry);
    }
  }
}

function bytesOf(entries: readonly ListedEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.bytes, 0);
}
