import { setTimeout as sleep } from 'node:timers/promises';
import { overPauseBudget, type PauseBudget } from '@fitdoc/interface';
import type { QemuConfig } from '../config.js';
import type { QmpClient } from '../qmp/client.js';

/** The longest last round that is ever allowed, milliseconds. */
const MOST_MS = 60_000;
/** Rounds without an end after which a guest is taken to write faster than it can be read. */
const PATIENT_ROUNDS = 8;

/** How long the last round of a full capture may take, from its begin until `end`. */
export class Convergence {
  /** Aborted, with the error as its reason, when a budget was not to be had and is not to be exceeded. */
  readonly refused: AbortSignal;
  /** Aborted by `end`. */
  readonly over: AbortSignal;
  /** What people should know of it, once it has ended. */
  readonly notes: Promise<readonly string[]>;
  private readonly ended = new AbortController();
  private readonly refusal = new AbortController();
  private readonly qmp: QmpClient;
  private limitMs: number;

  constructor({ qmp, config }: { qmp: QmpClient; config: QemuConfig }, budget: PauseBudget | undefined) {
    this.refused = this.refusal.signal;
    this.over = this.ended.signal;
    this.qmp = qmp;
    this.limitMs = config.downtimeLimitMs;
    this.notes = budget === undefined ? this.loosen() : this.keep(budget, config.downtimeLimitMs);
  }

  end(): void {
    this.ended.abort();
  }

  /** Allows ever longer last rounds to a guest that writes faster than the stream flows. */
  private async loosen(): Promise<string[]> {
    const notes: string[] = [];
    for (let rounds = 0; await this.goesOn(1000);) {
      const now = await this.rounds();
      if (now < rounds + PATIENT_ROUNDS) continue;
      rounds = now;
      await this.allow(Math.min(this.limitMs * 2, MOST_MS));
      notes.push(
        `The guest writes faster than its memory could be read: the last round may take ${this.limitMs} ms.`,
      );
    }
    return notes.slice(-1);
  }

  /**
   * Has QEMU go round until what is left fits the budget; half of it, as the devices' state comes on top. The time to
   * wait for that begins when all of memory has been sent once.
   */
  private async keep(budget: PauseBudget, usualMs: number): Promise<string[]> {
    await this.allow(Math.max(1, Math.floor(budget.maxMs / 2)));
    let deadline = Infinity;
    while (await this.goesOn(50)) {
      if (deadline === Infinity && (await this.rounds()) > 1) deadline = Date.now() + budget.waitMs;
      if (Date.now() < deadline) continue;
      if (budget.otherwise === 'refuse') this.refusal.abort(overPauseBudget(budget, undefined));
      else await this.allow(MOST_MS);
      break;
    }
    if (!this.over.aborted) await this.goesOn(MOST_MS * 60);
    await this.allow(usualMs);
    return [];
  }

  private async goesOn(ms: number): Promise<boolean> {
    await sleep(ms, undefined, { signal: this.over }).catch(() => undefined);
    return !this.over.aborted && !this.qmp.closed.aborted;
  }

  private async rounds(): Promise<number> {
    const { ram } = await this.qmp
      .execute<{ ram?: { 'dirty-sync-count'?: number } }>('query-migrate')
      .catch(() => ({ ram: undefined }));
    return ram?.['dirty-sync-count'] ?? 0;
  }

  private async allow(ms: number): Promise<void> {
    this.limitMs = ms;
    // Refused only by a QEMU that is ending, or ends the migration: others learn of that.
    await this.qmp.execute('migrate-set-parameters', { 'downtime-limit': ms }).catch(() => undefined);
  }
}
