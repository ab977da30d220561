import type { MachineSettings } from '../config/schema.js';

export type Chore = 'prune' | 'verify' | 'boot';

export interface MaintenanceWork {
  /** Resolves when the chore has ended, well or not. */
  readonly run: (machine: string, chore: Chore) => Promise<void>;
  readonly onError: (machine: string, chore: Chore, error: unknown) => void;
}

/** Longest that a timer of Node can wait. */
const LONGEST_MS = 2 ** 31 - 1;

interface Plan {
  /** The settings that it was made for, to tell whether they changed. */
  readonly key: string;
  readonly timers: NodeJS.Timeout[];
}

/** When a machine was last verified, and last started to see that it runs, before a restart perhaps. */
export interface LastChores {
  readonly verifiedAtMs: number | undefined;
  readonly bootedAtMs: number | undefined;
}

/** Prunes and verifies machines at their intervals; one at a time, so that checkpoints are not slowed by many. */
export class Maintenance {
  readonly #work: MaintenanceWork;
  readonly #plans = new Map<string, Plan>();
  readonly #queued = new Set<string>();
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(work: MaintenanceWork) {
    this.#work = work;
  }

  /** Sets a machine's intervals; those that are as they were go on. */
  schedule(machine: string, settings: MachineSettings, { verifiedAtMs, bootedAtMs }: LastChores): void {
    const pruneEvery = settings.retention && settings['prune-every'];
    const verifyEvery = settings['verify-every'];
    const bootEvery = settings['verify-boot-every'];
    const key = JSON.stringify([pruneEvery, verifyEvery, bootEvery]);
    if (this.#plans.get(machine)?.key === key) return;
    this.cancel(machine);
    const plan: Plan = { key, timers: [] };
    this.#plans.set(machine, plan);
    if (pruneEvery !== undefined) this.#repeat(plan, machine, 'prune', pruneEvery);
    if (verifyEvery !== undefined) this.#goOn(plan, machine, 'verify', verifyEvery, verifiedAtMs);
    if (bootEvery !== undefined) this.#goOn(plan, machine, 'boot', bootEvery, bootedAtMs);
  }

  /** Repeats a chore, first when it is due by when it was done last. */
  #goOn(plan: Plan, machine: string, chore: Chore, everyMs: number, lastMs: number | undefined): void {
    // One that lies in the future tells nothing of when it was.
    const age = Math.max(0, Date.now() - (lastMs ?? Date.now()));
    const first = Math.max(0, everyMs - age);
    const timer = setTimeout(
      () => {
        this.#enqueue(machine, chore);
        this.#repeat(plan, machine, chore, everyMs);
      },
      Math.min(first, LONGEST_MS),
    );
    plan.timers.push(timer.unref());
  }

  cancel(machine: string): void {
    for (const timer of this.#plans.get(machine)?.timers ?? []) clearTimeout(timer);
    this.#plans.delete(machine);
  }

  close(): void {
    this.#closed = true;
    for (const machine of [...this.#plans.keys()]) this.cancel(machine);
  }

  #repeat(plan: Plan, machine: string, chore: Chore, everyMs: number): void {
    const timer = setInterval(() => this.#enqueue(machine, chore), Math.min(everyMs, LONGEST_MS));
    plan.timers.push(timer.unref());
  }

  /** A chore that is due again while it still waits is done once. */
  #enqueue(machine: string, chore: Chore): void {
    const key = `${chore} ${machine}`;
    if (this.#queued.has(key)) return;
    this.#queued.add(key);
    this.#queue = this.#queue.then(async () => {
      this.#queued.delete(key);
      if (this.#closed || !this.#plans.has(machine)) return;
      await this.#work
        .run(machine, chore)
        .catch((error: unknown) => this.#work.onError(machine, chore, error));
    });
  }
}
