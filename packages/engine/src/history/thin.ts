import { isFitdocError, throwIfAborted, type DeleteFailure, type FitdocError } from '@fitdoc/interface';
import type {
  CheckpointEntry,
  HistoryPlan,
  Lease,
  MergeJob,
  Repository,
  RetentionPolicy,
  ThinningOptions,
} from '@fitdoc/repository';
import type { Engine } from '../engine.js';
import { Bandwidth } from './bandwidth.js';
import { runMergeJob } from './merge-job.js';
import type { ThinOptions, ThinReport } from './thin-options.js';

/**
 * Brings one machine's history to what a policy asks: what no rule keeps goes, with the words that only it held,
 * and no kept state takes more than the bound of objects to read. Merges in pieces, the most urgent first, and
 * removes in between, so that it may end at any moment; the next run goes on. A merge that fails is reported, and
 * the rest is done all the same. Errors: REPOSITORY_LOCKED where another merges this machine, ABORTED, STORE_*.
 */
export async function thin(
  engine: Engine,
  repository: Repository,
  machine: string,
  policy: RetentionPolicy,
  options: ThinOptions = {},
): Promise<ThinReport> {
  const wait = options.waitMs === undefined ? {} : { waitMs: options.waitMs };
  const call = { ...(options.signal ? { signal: options.signal } : {}), ...wait };
  const lease = await repository.merging(machine, call);
  try {
    return await new Run(engine, repository, machine, policy, options, lease).all();
  } finally {
    await lease.release();
  }
}

class Run {
  readonly #bandwidth: Bandwidth;
  /** Keys of objects whose content turned out to be damaged. */
  readonly #without = new Set<string>();
  /** Jobs that failed or are done, by what they make: none is run twice, so that a run ends whatever is planned. */
  readonly #given = new Set<string>();
  readonly #removed: CheckpointEntry[] = [];
  readonly #failures: FitdocError[] = [];
  #stuck: readonly DeleteFailure[] = [];
  /** What this run began to keep it keeps, though what goes leaves other clocks to be believed. */
  #times: HistoryPlan['times'] | undefined;
  /** Likewise the ladder that what it merges is for, though these merges leave another to be chosen. */
  #ladder: HistoryPlan['ladder'] | undefined;
  #merges = 0;
  #planMs = 0;
  #readBytes = 0;
  #writtenBytes = 0;

  constructor(
    private readonly engine: Engine,
    private readonly repository: Repository,
    private readonly machine: string,
    private readonly policy: RetentionPolicy,
    private readonly options: ThinOptions,
    private readonly lease: Lease,
  ) {
    this.#bandwidth = new Bandwidth(options.bandwidth);
  }

  async all(): Promise<ThinReport> {
    let plan = await this.#plan();
    let tailRounds = 0;
    for (;;) {
      const merged = await this.#mergeSome(plan);
      if (merged > 0) plan = await this.#plan();
      const removed = await this.#remove(plan);
      if (removed > 0) plan = await this.#plan();
      if (removed === 0 && (merged === 0 || this.#isEnough())) return this.#report(plan);
      // What was captured meanwhile is for the next run, or this one might never end.
      const isNew = plan.jobs.length > 0 && plan.jobs.every(({ level }) => level === 'tail');
      if (isNew && ++tailRounds >= MOST_TAIL_ROUNDS) return this.#report(plan);
    }
  }

  async #plan(): Promise<HistoryPlan> {
    const started = performance.now();
    const plan = await this.repository.planHistory(this.machine, this.policy, this.#call());
    this.#planMs += performance.now() - started;
    if (plan.isWhole) this.#times ??= plan.times;
    this.#ladder ??= plan.ladder;
    return plan;
  }

  #isEnough(): boolean {
    return this.#merges >= (this.options.merges ?? Number.POSITIVE_INFINITY);
  }

  /** The jobs of one level: those of the next are made of what these give. */
  async #mergeSome({ jobs }: HistoryPlan): Promise<number> {
    const open = jobs.filter((job) => !this.#given.has(nameOf(job)));
    let merged = 0;
    for (const job of open.filter(({ level }) => level === open[0]?.level)) {
      if (this.#isEnough()) break;
      throwIfAborted(this.options.signal);
      this.lease.assertFresh();
      if (await this.#merge(job)) merged++;
    }
    return merged;
  }

  async #merge(job: MergeJob): Promise<boolean> {
    const { signal, memory, compressor, level, onProgress, onEvent, isUrgent = always } = this.options;
    const started = performance.now();
    try {
      const entry = await runMergeJob(this.engine, this.repository, job, {
        bandwidth: this.#bandwidth,
        isUrgent,
        ...(signal && { signal }),
        ...(memory !== undefined && { memory }),
        ...(compressor !== undefined && { compressor }),
        ...(level !== undefined && { level }),
        ...(onProgress && { onProgress }),
      });
      this.#given.add(nameOf(job));
      this.#merges++;
      this.#writtenBytes += entry.bytes;
      this.#readBytes += job.path.reduce((sum, { bytes }) => sum + bytes, 0);
      onEvent?.({ type: 'merged', job, entry, ms: performance.now() - started });
      return true;
    } catch (error) {
      if (!isFitdocError(error) || ENDS.has(error.code) || signal?.aborted) throw error;
      // Gone meanwhile: the next plan knows it.
      if (error.code === 'STORE_NOT_FOUND') return false;
      this.#giveUp(job, error);
      onEvent?.({ type: 'merge-failed', job, error });
      return false;
    }
  }

  #giveUp(job: MergeJob, error: FitdocError): void {
    this.#given.add(nameOf(job));
    this.#failures.push(error);
    const key = error.details['key'];
    if (typeof key === 'string' && job.path.some((entry) => entry.key === key)) this.#without.add(key);
  }

  async #remove({ remove }: HistoryPlan): Promise<number> {
    const stuck = new Set(this.#stuck.map(({ key }) => key));
    const due = remove.filter(({ key }) => !stuck.has(key)).length;
    if (due < (this.options.removals ?? 1)) return 0;
    const ladder = this.#ladder && { ladder: this.#ladder };
    const report = await this.repository.thinOut(this.machine, this.policy, { ...this.#call(), ...ladder });
    this.#stuck = report.stuck;
    this.#times ??= report.times;
    if (report.removed.length === 0) return 0;
    this.#removed.push(...report.removed);
    this.options.onEvent?.({ type: 'removed', entries: report.removed, freedBytes: report.freedBytes });
    return report.removed.length;
  }

  #call(): ThinningOptions {
    const { signal, waitMs, pace = 'exact' } = this.options;
    const wait = waitMs === undefined ? {} : { waitMs };
    // Who asks again and again asks for little each time.
    const standing = pace === 'lazy';
    const times = this.#times && { times: this.#times };
    // A standing plan has its own from one look at the whole to the next.
    const ladder = !standing && this.#ladder && { ladder: this.#ladder };
    return {
      ...(signal && { signal }),
      ...wait,
      ...times,
      ...ladder,
      without: this.#without,
      pace,
      standing,
    };
  }

  #report(plan: HistoryPlan): ThinReport {
    return {
      machineId: this.machine,
      plan,
      merges: this.#merges,
      planMs: this.#planMs,
      readBytes: this.#readBytes,
      writtenBytes: this.#writtenBytes,
      removed: this.#removed,
      freedBytes: this.#removed.reduce((sum, { bytes }) => sum + bytes, 0),
      stuck: this.#stuck,
      failures: this.#failures,
    };
  }
}

/** Rounds that a run begins with nothing left but what captures move on all the time. */
const MOST_TAIL_ROUNDS = 3;

/** Errors that say that nothing more can be done now. */
const ENDS = new Set<string>([
  'ABORTED',
  'REPOSITORY_LOCKED',
  'STORE_CLOSED',
  'STORE_UNAVAILABLE',
  'STORE_DENIED',
]);

function always(): boolean {
  return true;
}

function nameOf({ to, parent, role }: MergeJob): string {
  return `${role} ${parent ?? 'nothing'} ${to.contentHash}`;
}
