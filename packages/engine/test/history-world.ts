import { createHash } from 'node:crypto';
import { CheckpointSource, createEngine, thin, type Engine, type Protection } from '@fitdoc/engine';
import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
import { FitdocError, isFitdocError, PAGE_SIZE, type Machine } from '@fitdoc/interface';
import {
  isIntact,
  Lineage,
  Repository,
  type CheckpointEntry,
  type RetentionPolicy,
} from '@fitdoc/repository';
import { withFaults } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { naivelyKept } from '../../repository/test/support/naive-policy.js';
import { machineName } from './support.js';

/** Longer than a lock lives. */
const STALE_MS = 61_000;

/** What is drawn for a history; the same for the same seed. */
export interface Draw {
  below(bound: number): number;
}

/** Where a process ends: with the nth call that changes the store, from 1, not done, done, or of many half done. */
export interface Crash {
  readonly at: number;
  readonly when: 'before' | 'half' | 'after';
  /** Told of the call. */
  readonly onCall?: (operation: string, key: string) => void;
}

const CHANGES = new Set(['put', 'delete', 'deleteMany']);

/**
 * One machine with a history: captures, forks, tags, merges that are cut off anywhere, a clock that is set, and
 * damage. It knows what each checkpoint must restore to, from the guest itself.
 */
export class World {
  readonly store: MemoryStore;
  readonly engine: Engine = createEngine({ workers: 2 });
  /** What the last run that ended could not do: nothing, where nobody holds anything and nothing is damaged. */
  left: readonly unknown[] = [];
  readonly #name = machineName();
  readonly #hashes = new Map<string, string>();
  readonly #tags = new Map<string, string>();
  #steadyMs = 1_760_000_000_000;
  readonly #timers = new Set<() => void>();
  #wallMs = 0;
  /** As a new attachment does: what is dirty since the last checkpoint is not all that differs from an older one. */
  #full = true;
  #machine!: Machine;
  #repository!: Repository;
  #protection!: Protection;

  private constructor() {
    this.store = new MemoryStore({ now: () => this.#steadyMs });
  }

  static async begin(seed: number): Promise<World> {
    const world = new World();
    await Repository.init(world.store, { clock: world.#clock });
    world.#machine = await hypervisor.attach(`${world.#name}?memory=1M&workload=kv&seed=${seed}`);
    await world.reopen();
    return world;
  }

  get repository(): Repository {
    return this.#repository;
  }

  get machineId(): string {
    return this.#machine.info.id;
  }

  async end(): Promise<void> {
    await this.#protection.end();
    await this.#repository.close();
    await this.#machine.detach();
    hypervisor.forget(this.#name);
    await this.engine.close();
  }

  /** As after a restart of the writer, or, with `from`, as a fork of an older checkpoint. */
  async reopen(from?: CheckpointEntry): Promise<void> {
    this.#full = true;
    await this.#protection?.end();
    await this.#repository?.close();
    this.#repository = await Repository.open(this.store, { clock: this.#clock });
    this.#protection = await this.engine.protect(this.#machine, this.#repository, {
      watchChainMs: 0,
      ...(from && { from: from.id }),
    });
  }

  /** All that the store holds. */
  async snapshot(): Promise<ReadonlyMap<string, Uint8Array>> {
    const objects = new Map<string, Uint8Array>();
    for await (const { key } of this.store.list('')) objects.set(key, await this.store.get(key));
    return objects;
  }

  /** The store as it was, and a process that knows nothing of what happened since. Captures are over then. */
  async rewind(snapshot: ReadonlyMap<string, Uint8Array>): Promise<void> {
    await this.#protection.end();
    await this.#repository.close();
    for await (const { key } of this.store.list('')) if (!snapshot.has(key)) await this.store.delete(key);
    for (const [key, bytes] of snapshot) await this.store.put(key, bytes, { mode: 'replace' });
    await this.restart();
  }

  /** A process that knows nothing, for who only reads. Captures are over then. */
  async restart(): Promise<void> {
    await this.#protection.end();
    await this.#repository.close();
    this.#repository = await Repository.open(this.store, { clock: this.#clock });
  }

  async capture(afterMs: number): Promise<void> {
    this.#steadyMs += afterMs;
    const machine = this.#machine;
    const original = machine.capture.bind(machine);
    machine.capture = async (...args) =>
      Object.assign(await original(...args), { capturedAtMs: this.#nowMs });
    try {
      const { entry } = await this.#protection
        .checkpoint({ full: this.#full })
        .catch(async (error: unknown) => {
          // What it stood on was damaged: the next one starts over.
          if (!isFitdocError(error)) throw error;
          await this.reopen();
          return this.#protection.checkpoint({ full: true });
        });
      this.#full = false;
      this.#hashes.set(entry.id, await machineHash(this.#name));
    } finally {
      machine.capture = original;
    }
  }

  stepClock(ms: number): void {
    this.#wallMs += ms;
  }

  async tag(name: string, entry: CheckpointEntry): Promise<void> {
    await this.#repository.tags.set(name, entry);
    this.#tags.set(name, entry.id);
  }

  async untag(name: string): Promise<void> {
    if (this.#tags.delete(name)) await this.#repository.tags.remove(name);
  }

  /** Runs to its end, or until a call of the store, after which the process is as dead. Gives whether it ended. */
  async thin(policy: RetentionPolicy, crash?: Crash): Promise<boolean> {
    const dead = new FitdocError('STORE_UNAVAILABLE', 'the process has ended');
    let changes = 0;
    const store = withFaults(this.store, ({ operation, key }) => {
      if (!crash || changes >= crash.at) return crash && { error: dead };
      if (!CHANGES.has(operation) || ++changes < crash.at) return undefined;
      crash.onCall?.(operation, key);
      return { error: dead, when: crash.when === 'half' ? 1 : crash.when };
    });
    const repository = await Repository.open(this.store, { clock: this.#clock }).then(() =>
      Repository.open(store, { clock: this.#clock }).catch(() => undefined),
    );
    if (!repository) return false;
    try {
      const report = await thin(this.engine, repository, this.machineId, policy, { waitMs: 0 });
      this.left = [...report.failures, ...report.stuck, ...report.plan.remove, ...report.plan.jobs];
      return true;
    } catch (error) {
      if (error !== dead && !isFitdocError(error, 'STORE_UNAVAILABLE')) throw error;
      return false;
    } finally {
      await repository.close().catch(() => undefined);
      if (crash) this.#steadyMs += STALE_MS;
    }
  }

  /** Cuts an object off, and gives the ids of what cannot be read without it. */
  async damage(draw: Draw): Promise<void> {
    const objects = await this.objects();
    const victim = objects[draw.below(objects.length)];
    if (!victim) return;
    const bytes = await this.store.get(victim.key);
    await this.store.put(victim.key, bytes.subarray(0, bytes.length >> 1), { mode: 'replace' });
  }

  async objects(): Promise<CheckpointEntry[]> {
    return (await this.#repository.objects({ machine: this.machineId })).filter(isIntact);
  }

  /** The ids that a policy (in UTC) and the tags keep, of those that can be read now. */
  async kept(policy: RetentionPolicy): Promise<Set<string>> {
    const lineage = new Lineage(await this.objects());
    const states = lineage
      .states()
      .sort((one, other) => one.sequence - other.sequence || one.createdAtMs - other.createdAtMs);
    const tagged = new Set(this.#tags.values());
    const chosen = naivelyKept(states, policy, this.#nowMs);
    for (const entry of states) if (tagged.has(entry.id)) chosen.add(entry);
    return new Set([...chosen].filter((entry) => lineage.cost(entry)).map(({ id }) => id));
  }

  /** Reads these, and `more` others that can be read; throws when one is gone or not what it was. */
  async check(ids: ReadonlySet<string>, more: number, draw: Draw): Promise<number> {
    const lineage = new Lineage(await this.objects());
    const byId = new Map(lineage.states().map((entry) => [entry.id, entry]));
    for (const id of ids) if (!byId.has(id)) throw new Error(`the checkpoint ${id} is gone`);
    const others = [...byId.values()].filter((entry) => !ids.has(entry.id) && lineage.cost(entry));
    const drawn = Array.from(
      { length: Math.min(more, others.length) },
      () => others[draw.below(others.length)]!,
    );
    const all = [...new Set([...[...ids].map((id) => byId.get(id)!), ...drawn])];
    for (const entry of all) {
      const found = await this.#read(entry);
      if (found !== this.#hashes.get(entry.id))
        throw new Error(`the checkpoint ${entry.id} is not what it was`);
    }
    return all.length;
  }

  /** The hash that the mock has of itself, of what a restore would be given. */
  #read(entry: CheckpointEntry): Promise<string> {
    return CheckpointSource.use(
      this.engine,
      this.#repository,
      entry,
      { memory: 64 << 20 },
      async (source) => {
        const hash = createHash('blake2b512');
        const number = new Uint32Array(1);
        for await (const { gfn, bytes } of source.pages()) {
          for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
            number[0] = gfn + at / PAGE_SIZE;
            hash.update(number).update(bytes.subarray(at, at + PAGE_SIZE));
          }
        }
        for (const { name, bytes } of source.deviceState) hash.update(name).update(bytes);
        return hash.digest('hex');
      },
    );
  }

  get #nowMs(): number {
    return this.#steadyMs + this.#wallMs;
  }

  get #clock() {
    return {
      now: () => this.#nowMs,
      steady: () => this.#steadyMs,
      sleep: (ms: number) =>
        new Promise<void>((resolve) => {
          setImmediate(() => {
            this.#steadyMs += ms;
            for (const timer of this.#timers) timer();
            resolve();
          });
        }),
      // Whoever holds a lock shows that it lives while others' are watched.
      every: (_ms: number, body: () => void) => {
        this.#timers.add(body);
        return () => this.#timers.delete(body);
      },
    };
  }
}
