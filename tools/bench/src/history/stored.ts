import { CheckpointSource, createEngine, restore, thin, type Engine, type Protection } from '@fitdoc/engine';
import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
import type { Machine, Store } from '@fitdoc/interface';
import { Repository, type CheckpointEntry, type HistoryPlan, type RetentionPolicy } from '@fitdoc/repository';
import { withFaults } from '@fitdoc/store-decorators';

const SECOND = 1_000;
/** As the daemon looks after a history: after so many captures, a few merges at a time. */
const CAPTURES = 16;
const MERGES = 4;
const REMOVALS = 32;
/** Of each so many captures the guest's hash is kept, to hold a restore against. */
const PROVEN = 37;

/** A history of a mock guest whose objects are real: captured, merged and removed in a store, on a virtual clock. */
export class StoredHistory {
  readonly written = { captured: 0, merged: 0 };
  readonly engine: Engine = createEngine();
  #nowMs: number;
  readonly #hashes = new Map<string, string>();
  #repository!: Repository;
  #protection!: Protection;

  private constructor(
    private readonly name: string,
    private readonly machine: Machine,
    readonly store: Store,
    private readonly policy: RetentionPolicy,
    /** Of the store, so far. */
    readonly calls: { readonly count: number },
    startMs: number,
  ) {
    this.#nowMs = startMs;
  }

  /** `query` says what the mock is like. The history's first second is `startMs`. */
  static async begin(
    name: string,
    query: string,
    beneath: Store,
    policy: RetentionPolicy,
    startMs: number,
  ): Promise<StoredHistory> {
    const machine = await hypervisor.attach(`${name}?${query}`);
    const calls = { count: 0 };
    const store = withFaults(beneath, () => {
      calls.count++;
      return undefined;
    });
    const history = new StoredHistory(name, machine, store, policy, calls, startMs);
    const capture = machine.capture.bind(machine);
    machine.capture = async (...args) =>
      Object.assign(await capture(...args), { capturedAtMs: history.#nowMs });
    history.#repository = await Repository.init(store);
    history.#protection = await history.engine.protect(machine, history.#repository);
    return history;
  }

  get repository(): Repository {
    return this.#repository;
  }

  get machineId(): string {
    return this.machine.info.id;
  }

  /** A checkpoint a second for so many seconds, merged and thinned as it goes. */
  async live(seconds: number, tell: (second: number) => void): Promise<void> {
    for (let second = 1; second <= seconds; second++) {
      this.#nowMs += SECOND;
      const { entry } = await this.#protection.checkpoint();
      if (entry.kind === 'increment') this.written.captured += entry.bytes;
      if (second % PROVEN === 0) this.#hashes.set(entry.id, await machineHash(this.name));
      if (second % CAPTURES === 0) await this.#thin({ pace: 'lazy', merges: MERGES, removals: REMOVALS });
      if (second % 100 === 0) tell(second);
    }
  }

  /** All that is due is merged and removed, as at the end of a turn; what stays and why. */
  settle(): Promise<HistoryPlan> {
    return this.#thin({ pace: 'lazy' });
  }

  async #thin(options: Parameters<typeof thin>[4]): Promise<HistoryPlan> {
    const report = await thin(this.engine, this.#repository, this.machineId, this.policy, options);
    const [failure] = report.failures;
    if (failure) throw failure;
    this.written.merged += report.writtenBytes;
    return report.plan;
  }

  /** Restores one whose guest's memory is known, and throws unless it is just that. */
  async prove(entry: CheckpointEntry): Promise<void> {
    const location = `proof-${entry.id}`;
    await restore(this.engine, { repository: this.#repository, entry, hypervisor, location });
    const hash = await machineHash(location);
    hypervisor.forget(location);
    if (hash !== this.#hashes.get(entry.id)) throw new Error(`${entry.key} restored to something else`);
  }

  isProvable({ id }: CheckpointEntry): boolean {
    return this.#hashes.has(id);
  }

  /** Bytes that a restore reads of the store, and the objects that they are in. */
  async reads(entry: CheckpointEntry): Promise<{ objects: number; bytes: number }> {
    return CheckpointSource.use(this.engine, this.#repository, entry, {}, async ({ chainLength }) => {
      const cost = await this.#repository.readCost(entry);
      return { objects: chainLength, bytes: cost?.bytes ?? NaN };
    });
  }

  async end(): Promise<void> {
    await this.#protection.end();
    await this.#repository.close();
    await this.machine.detach();
    hypervisor.forget(this.name);
    await this.engine.close();
  }
}
