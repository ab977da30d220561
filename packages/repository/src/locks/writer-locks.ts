import type { HeldLock } from './held-lock.js';
import type { Held, Holding } from './holding.js';
import type { LockOptions } from './lease.js';
import type { FoundLock } from './lock-record.js';
import type { LockTable } from './lock-table.js';
import { takeShared } from './shared-lock.js';
import { WriterLock } from './writer-lock.js';

const POLL_MS = 100;

/** The locks of this process's writers, one a machine. */
export class WriterLocks {
  readonly #table: LockTable;
  readonly #current = new Map<string, Promise<WriterLock>>();
  readonly #known = new Map<string, WriterLock>();

  constructor(table: LockTable) {
    this.#table = table;
  }

  get size(): number {
    return this.#current.size;
  }

  /** One that serves what is wanted: the one there is, or another in its place. REPOSITORY_LOCKED. */
  async of(
    machine: string,
    wanted: Holding,
    options: LockOptions & { readonly waitMs: number },
  ): Promise<WriterLock> {
    const { clock } = this.#table;
    const deadline = clock.steady() + options.waitMs;
    for (;;) {
      const current = this.#current.get(machine);
      if (!current) break;
      const writer = await current.catch(() => undefined);
      if (this.#current.get(machine) !== current) continue;
      if (writer?.serves(wanted)) return writer;
      // What it holds must stay held until its uses end.
      if (writer?.lock && writer.inUse) await clock.sleep(POLL_MS, options.signal);
      else await this.drop(machine, writer);
    }
    const taking = this.#take(machine, wanted, { ...options, deadline });
    this.#current.set(machine, taking);
    // Whoever finds a failed attempt tries for itself.
    taking.catch(() => this.#current.get(machine) === taking && this.#current.delete(machine));
    return taking;
  }

  /** What the machines' writers go on from. */
  heads(machine: string): Held[] {
    const writer = this.#known.get(machine);
    return writer ? [writer.head] : [];
  }

  async drop(machine: string, writer: WriterLock | undefined): Promise<void> {
    this.#current.delete(machine);
    this.#known.delete(machine);
    await writer?.lock?.release();
  }

  async dropAll(machine?: string): Promise<void> {
    for (const [each, taking] of this.#current) {
      if (machine === undefined || each === machine) {
        await this.drop(each, await taking.catch(() => undefined));
      }
    }
  }

  /** Shows that the writers live, and lets those go that are idle or waited for. */
  async refresh(removers: () => Promise<readonly FoundLock[]>): Promise<void> {
    // One listing for all machines: a store may charge for each.
    const found = this.#current.size === 0 ? [] : await removers();
    for (const [machine, taking] of this.#current) {
      const writer = await taking.catch(() => undefined);
      if (!writer) continue;
      await writer.refresh(found, machine).catch(() => undefined);
      if (writer.mustGo(this.#table.clock.steady())) await this.drop(machine, writer);
    }
  }

  async #take(
    machine: string,
    held: Holding,
    options: LockOptions & { readonly deadline: number },
  ): Promise<WriterLock> {
    const lock: HeldLock | undefined = await takeShared(this.#table, {
      machine,
      purpose: 'checkpoint',
      held,
      deadline: options.deadline,
      signal: options.signal,
    });
    const writer = new WriterLock(lock, held, this.#table.clock.steady());
    this.#known.set(machine, writer);
    return writer;
  }
}
