import {
  deleteAll,
  throwIfAborted,
  type CallOptions,
  type DeleteFailure,
  type Store,
} from '@fitdoc/interface';
import type { Catalogue } from '../catalogue/catalogue.js';
import type { CheckpointEntry } from '../catalogue/entry.js';
import { Lineage } from '../catalogue/lineage.js';
import type { Tags } from '../catalogue/tags.js';
import type { Clock } from '../clock.js';
import { Derived } from '../derived/derived.js';
import { tidyDerived } from '../derived/tidy.js';
import { planHistory } from '../history/plan.js';
import { StandingHistory } from '../history/standing.js';
import type { HistoryPlan, Ladder, Pace } from '../history/types.js';
import { holds, type Held } from '../locks/holding.js';
import type { RemovalLease } from '../locks/lease.js';
import type { LockManager } from '../locks/lock-manager.js';
import type { KnownTimes } from './chain-time.js';
import { checkPolicy, type RetentionPolicy } from './policy.js';
import { reasonsOfTags } from './prune.js';
import { planRemoval } from './removal-plan.js';

/** Objects that are announced and deleted in one go: a lock that names them is small, and a call takes as many. */
const AT_A_TIME = 1000;
/** Objects that are deleted between two looks at the lease. */
const IN_A_CALL = 250;
/** Times that a removal is planned anew because somebody has come to hold what should go. */
const ATTEMPTS = 5;

export interface ThinningOptions extends CallOptions {
  /** Keys of objects that are there but cannot be read: nothing is planned over them. */
  readonly without?: ReadonlySet<string>;
  /** Milliseconds to wait for another who removes. Default: the repository's. */
  readonly waitMs?: number;
  /** When to merge what the next captures will move on. Default `lazy`. */
  readonly pace?: Pace;
  /**
   * Whether the plan may go on from the last one, as `StandingHistory` does: for who plans again and again. Default
   * false: all is looked at.
   */
  readonly standing?: boolean;
  /** The `times` of the plan that this run began with. Default: found anew. */
  readonly times?: KnownTimes;
  /** The `ladder` of the plan that this run began with: what is merged weighs on the choice. Default: chosen anew. */
  readonly ladder?: Ladder;
}

export interface ThinningReport {
  readonly removed: readonly CheckpointEntry[];
  readonly freedBytes: number;
  /** What should go and could not be deleted. */
  readonly stuck: readonly DeleteFailure[];
  /** When states were taken, as this removal had it; undefined where it came to no plan. */
  readonly times: KnownTimes | undefined;
}

/**
 * Plans what becomes of one machine's checkpoints, and removes what is not needed any longer. Order of a removal:
 * plan from a fresh listing with what leases name left in peace; announce what goes; where somebody has come to
 * hold some of it, plan anew; look once more at what was put until everybody could see the announcement; delete,
 * child before parent. Killed after any step it leaves every kept state a way, and the next run goes on.
 */
export class Thinning {
  /** By machine. */
  readonly #standing = new Map<string, StandingHistory>();

  constructor(
    private readonly store: Store,
    private readonly catalogue: Catalogue,
    private readonly locks: LockManager,
    private readonly tags: Tags,
    private readonly clock: Clock,
  ) {}

  async plan(
    machine: string,
    policy: RetentionPolicy,
    options: ThinningOptions,
    held: readonly Held[] = [],
  ): Promise<HistoryPlan> {
    checkPolicy(policy);
    const entries = await this.#entries(machine, options);
    const request = {
      machineId: machine,
      entries,
      policy,
      tags: await this.tags.list(callOf(options)),
      held: new Set(entries.filter((entry) => held.some((each) => holds(each, entry))).map(({ key }) => key)),
      nowMs: this.clock.now(),
      ...(options.pace && { pace: options.pace }),
      ...(options.times && { times: options.times }),
      ...(options.ladder && { ladder: options.ladder }),
    };
    return options.standing ? this.#standingOf(machine).plan(request) : planHistory(request);
  }

  #standingOf(machine: string): StandingHistory {
    const standing = this.#standing.get(machine) ?? new StandingHistory();
    this.#standing.set(machine, standing);
    return standing;
  }

  async remove(machine: string, policy: RetentionPolicy, options: ThinningOptions): Promise<ThinningReport> {
    const lease = await this.locks.remove(machine, 'thinning', options);
    const gone: CheckpointEntry[] = [];
    const stuck: DeleteFailure[] = [];
    const round: Round = { machine, policy, options, stuck, times: options.times };
    try {
      for (let misses = 0; misses < ATTEMPTS;) {
        throwIfAborted(options.signal);
        const some = await this.#next(lease, round);
        if (some === undefined) misses++;
        else if (some.length === 0) break;
        else await this.#delete(some, lease, options, { gone, stuck });
      }
      if (gone.length > 0) await tidyDerived(new Derived(this.store), this.catalogue, machine, options);
    } finally {
      await lease.release();
    }
    const freedBytes = gone.reduce((sum, { bytes }) => sum + bytes, 0);
    return { removed: gone, freedBytes, stuck, times: round.times };
  }

  /** What to delete now, with nobody able to get hold of it; undefined where somebody has just come to. */
  async #next(lease: RemovalLease, round: Round): Promise<CheckpointEntry[] | undefined> {
    const { machine, policy, options, stuck } = round;
    const skip = new Set(stuck.map(({ key }) => key));
    const looked = { ...options, standing: false, ...(round.times && { times: round.times }) };
    const planned = await this.plan(machine, policy, looked, await lease.held());
    round.times ??= planned.times;
    const some = planned.remove.filter(({ key }) => !skip.has(key)).slice(0, AT_A_TIME);
    if (some.length === 0) return [];
    if (!(await lease.announce(some, { wait: false }))) return undefined;
    // What was put until everybody could see the announcement may stand on some of it.
    const again = await this.plan(machine, policy, looked, await lease.held());
    const unneeded = new Set(again.remove.map(({ key }) => key));
    const keys = new Set(some.map(({ key }) => key).filter((key) => unneeded.has(key)));
    const entries = await this.#entries(machine, options);
    const lineage = new Lineage(entries);
    const tags = reasonsOfTags(lineage, await this.tags.list(callOf(options)));
    const doomed = new Set(entries.filter(({ key }) => keys.has(key)));
    // A tag is on a state: the object that was captured may go where another shows the same.
    const shown = new Set(entries.flatMap((entry) => (doomed.has(entry) ? [] : [lineage.stateOf(entry)])));
    const protect = (entry: CheckpointEntry) =>
      shown.has(lineage.stateOf(entry)) ? [] : (tags.get(entry) ?? []);
    const { remove } = planRemoval(entries, doomed, protect);
    return remove.length > 0 ? [...remove] : undefined;
  }

  async #delete(
    entries: readonly CheckpointEntry[],
    lease: RemovalLease,
    options: ThinningOptions,
    { gone, stuck }: { readonly gone: CheckpointEntry[]; readonly stuck: DeleteFailure[] },
  ): Promise<void> {
    for (let from = 0; from < entries.length; from += IN_A_CALL) {
      throwIfAborted(options.signal);
      lease.assertFresh();
      const some = entries.slice(from, from + IN_A_CALL);
      const keys = some.map(({ key }) => key);
      const failures = await deleteAll(this.store, keys, callOf(options));
      for (const key of keys) this.catalogue.forget(key);
      const failed = new Set(failures.map(({ key }) => key));
      stuck.push(...failures);
      gone.push(...some.filter(({ key }) => !failed.has(key)));
      const done = Math.min(from + IN_A_CALL, entries.length);
      options.onProgress?.({
        phase: 'removing checkpoints',
        done,
        total: entries.length,
        unit: 'checkpoints',
      });
    }
  }

  async #entries(machine: string, options: ThinningOptions): Promise<CheckpointEntry[]> {
    const entries = await this.catalogue.listIntact({ machine, ...callOf(options) });
    return entries.filter(({ key }) => !options.without?.has(key));
  }
}

interface Round {
  readonly machine: string;
  readonly policy: RetentionPolicy;
  readonly options: ThinningOptions;
  readonly stuck: readonly DeleteFailure[];
  /** What the first plan found, which the next ones keep to. */
  times: KnownTimes | undefined;
}

function callOf({ signal }: CallOptions): CallOptions {
  return signal ? { signal } : {};
}
