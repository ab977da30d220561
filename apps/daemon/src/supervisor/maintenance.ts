import type { MachineSettings } from '../config/schema.js';

export interface MaintenanceWork {
  readonly prune: (machine: string) => Promise<void>;
  readonly verify: (machine: string) => Promise<void>;
  readonly onError: (machine: string, what: string, error: unknown) => void;
}

/** Longest that a timer can wait. */
const LONGEST_MS = 2 ** 31 - 1;

/** Prunes and verifies machines at their intervals; one at a time, so that checkpoints are not slowed by many. */
export class Maintenance {
  readonly #work: MaintenanceWork;
  readonly #timers = new Map<string, NodeJS.Timeout[]>();
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(work: MaintenanceWork) {
    this.#work = work;
  }

  /** Sets a machine's intervals anew. `verifiedAtMs` is when it was last verified, before a restart perhaps. */
  schedule(machine: string, settings: MachineSettings, verifiedAtMs: number | undefined): void {
    this.cancel(machine);
    const timers: NodeJS.Timeout[] = [];
    if (settings.retention) timers.push(this.#repeat(machine, 'prune', settings['prune-every']));
    const every = settings['verify-every'];
    if (every !== undefined) {
      const overdue = Math.max(0, every - (Date.now() - (verifiedAtMs ?? Date.now())));
      const first = setTimeout(() => {
        this.#enqueue(machine, 'verify');
        timers.push(this.#repeat(machine, 'verify', every));
      }, Math.min(overdue, LONGEST_MS)).unref();
      timers.push(first);
    }
    this.#timers.set(machine, timers);
  }

  cancel(machine: string): void {
    for (const timer of this.#timers.get(machine) ?? []) clearTimeout(timer);
    this.#timers.delete(machine);
  }

  close(): void {
    this.#closed = true;
    for (const machine of [...this.#timers.keys()]) this.cancel(machine);
  }

  #repeat(machine: string, what: 'prune' | 'verify', everyMs: number): NodeJS.Timeout {
    return setInterval(() => this.#enqueue(machine, what), Math.min(everyMs, LONGEST_MS)).unref();
  }

  #enqueue(machine: string, what: 'prune' | 'verify'): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#closed) return;
      try {
        await this.#work[what](machine);
      } catch (error) {
        this.#work.onError(machine, what, error);
      }
    });
  }
}
