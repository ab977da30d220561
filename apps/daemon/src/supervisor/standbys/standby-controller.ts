import { setTimeout as sleep } from 'node:timers/promises';
import type { AdapterRegistry } from '@fitdoc/adapters';
import { followMachine, promote, schemeOf, standbyIn, type Engine, type StandbyEvent } from '@fitdoc/engine';
import { FitdocError, isFitdocError } from '@fitdoc/interface';
import { machineNamed, type Repository } from '@fitdoc/repository';
import type { StandbySettings } from '../../config/schema.js';
import type { Problem, PromotionResult, StandbyStatus } from '../../model.js';
import { BackOff } from '../back-off.js';
import type { JobContext } from '../jobs.js';
import { problemOf } from '../problem.js';
import { StandbyRecord } from './standby-record.js';

/** What a standby needs of the daemon, and whom it tells. */
export interface StandbyContext {
  readonly engine: Engine;
  readonly registry: AdapterRegistry;
  readonly repository: () => Promise<Repository>;
  /** Where that is, as another process finds it. */
  readonly location: string;
  readonly onChange: (status: StandbyStatus) => void;
  readonly onProblem: (problem: Problem) => void;
}

export interface PromotionWish {
  /** As PromoteRequest has them. */
  readonly again?: boolean;
  readonly asItIs?: boolean;
}

/** Keeps one machine ready that is protected elsewhere, and starts it when that is asked for. */
export class StandbyController {
  readonly #record: StandbyRecord;
  readonly #context: StandbyContext;
  readonly #stop = new AbortController();
  readonly #backOff = new BackOff();
  /** The end of what is done now: following, or a wait. */
  #turn = new AbortController();
  #promotion: Promise<unknown> | undefined;
  readonly #running: Promise<void>;

  constructor(name: string, settings: StandbySettings, context: StandbyContext) {
    this.#record = new StandbyRecord(name, settings);
    this.#context = context;
    this.#running = this.#run();
  }

  get name(): string {
    return this.#record.name;
  }

  status(): StandbyStatus {
    return this.#record.status();
  }

  /** Ends it, with all that is ready on the disk. A machine that was started runs on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#turn.abort();
    await this.#running;
  }

  /**
   * What stands in the way of a promotion, as far as this host knows. MACHINE_BUSY (one is under way), MACHINE_CONFLICT (it
   * was promoted), CHECKPOINT_NOT_FOUND (nothing is there to promote).
   */
  async check({ again = false }: PromotionWish): Promise<void> {
    const { dir } = this.#record.settings;
    this.#checkTurn();
    const journal = await standbyIn(dir).catch(() => undefined);
    const { lastProblem } = this.status();
    const { pid, location } = journal?.promotion ?? {};
    if (pid !== undefined && !again)
      throw new FitdocError(
        'MACHINE_CONFLICT',
        `The standby ${this.name} was promoted: its machine was started from ${dir}, at ${location}.`,
        { hint: 'If that one has ended for good, start it anew: {"again": true}.' },
      );
    if (journal?.at) return;
    throw new FitdocError('CHECKPOINT_NOT_FOUND', `The standby ${this.name} holds nothing yet.`, {
      hint: lastProblem
        ? `${lastProblem.message} ${lastProblem.hint ?? ''}`.trim()
        : 'Wait until it is ready.',
    });
  }

  /** Starts the machine in place of the one that was protected. Errors: those of `check`, and of the engine's `promote`. */
  async promote(wish: PromotionWish, context: JobContext): Promise<PromotionResult> {
    await this.check(wish);
    this.#checkTurn();
    this.#record.state = 'promoting';
    this.#changed();
    // From here on the loop waits for it; who follows gives way to it by itself.
    const promotion = this.#promote(wish, context);
    const ended = promotion.then(
      () => this.#ended(),
      () => this.#ended(),
    );
    this.#promotion = ended;
    await ended;
    return promotion;
  }

  #checkTurn(): void {
    if (!this.#promotion) return;
    throw new FitdocError('MACHINE_BUSY', `The standby ${this.name} is being promoted.`, {
      hint: 'Wait for its job: GET /v1/jobs.',
    });
  }

  /** After a promotion: the machine was started from it, or it is what it was before. */
  async #ended(): Promise<void> {
    this.#promotion = undefined;
    if (await this.#isPromoted()) return;
    this.#record.state = this.status().ready ? 'ready' : 'waiting';
    this.#changed();
  }

  async #promote(wish: PromotionWish, options: JobContext): Promise<PromotionResult> {
    const { engine, registry, location } = this.#context;
    const { dir: directory, options: changed } = this.#record.settings;
    const repository = await this.#context.repository();
    const scheme = await schemeOf(await standbyIn(directory), repository, options);
    const { hypervisor } = await registry.hypervisorFor(`${scheme}:`);
    const request = { repository, location, hypervisor, directory, changed, ...wish };
    const { point, launched, report, before, advancedMs, runningMs } = await promote(
      engine,
      request,
      options,
    );
    await launched.release();
    return {
      ...{ checkpoint: point.id, capturedAt: new Date(point.capturedAtMs).toISOString() },
      ...{ location: `${scheme}:${launched.location}`, pid: launched.pid, state: report.state },
      ...{ advancedMs: Math.round(advancedMs), runningMs: Math.round(runningMs) },
      writersBefore: before.map(({ program, host, location: where }) => ({ program, host, location: where })),
      ...{ consoles: launched.consoles, notes: report.notes },
    };
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#turn = new AbortController();
      await this.#promotion;
      try {
        if (!(await this.#isPromoted())) await this.#follow();
      } catch (error) {
        if (!this.#promotion) this.#trouble(problemOf(error), isFitdocError(error, 'MACHINE_BUSY'));
      }
      if (this.#promotion) continue;
      await sleep(this.#backOff.next(), undefined, { signal: this.#turn.signal }).catch(() => undefined);
    }
    await this.#promotion;
  }

  /** Whether the machine runs from the directory, started by whomever. */
  async #isPromoted(): Promise<boolean> {
    const { dir } = this.#record.settings;
    const journal = await standbyIn(dir).catch(() => undefined);
    const is = journal?.promotion?.pid !== undefined;
    if (is || this.#record.state === 'promoted') {
      this.#record.holdsNone(journal?.promotion);
      this.#changed();
    }
    return is;
  }

  async #follow(): Promise<void> {
    const { engine, location } = this.#context;
    const { name, settings } = this.#record;
    const stop = this.#turn.signal;
    const repository = await this.#context.repository();
    const machine = await machineNamed(repository, settings.machine ?? name, { signal: stop });
    this.#record.machineId = machine;
    if (!this.status().ready) this.#record.state = 'reading';
    this.#changed();
    const request = { repository, location, machine, directory: settings.dir };
    for await (const event of followMachine(engine, request, { everyMs: settings.every, stop }))
      this.#take(event);
  }

  #take(event: StandbyEvent): void {
    if (event.type === 'trouble') return this.#trouble(problemOf(event.error), false);
    this.#record.holds(event.type === 'current' ? event.point : event.step.point);
    this.#backOff.reset();
    this.#changed();
  }

  #trouble(problem: Problem, isAnothers: boolean): void {
    if (this.#stop.signal.aborted) return;
    this.#record.problem = problem;
    // What another process has may be anything by now.
    if (isAnothers) this.#record.holdsNone();
    else if (this.#record.state === 'reading') this.#record.state = 'waiting';
    this.#context.onProblem(problem);
    this.#changed();
  }

  #changed(): void {
    this.#context.onChange(this.status());
  }
}
