import type { CheckpointResult, Engine, ThinReport } from '@fitdoc/engine';
import { isFitdocError, type CallOptions } from '@fitdoc/interface';
import type { Logger } from 'pino';
import type { MachineSettings } from '../config/schema.js';
import type { MachineStatus } from '../model.js';
import { Background, type BackgroundOutcome } from './background.js';
import { HistoryRecord } from './history-record.js';
import { BOUND, pruneResult, thinChain, type ThinSettings } from './history.js';
import { ThinningTurns } from './thinning-turns.js';
import { pruneChain, type Chain, type PruneResult } from './operations.js';

const NOTHING_DUE: BackgroundOutcome = { isMore: false, costMs: 0, room: BOUND };

export interface HistoriesContext {
  readonly engine: Engine;
  readonly logger: Logger;
  readonly chain: (machine: string) => Promise<Chain>;
  /** Undefined for a machine that the configuration does not name any longer. */
  readonly settings: (machine: string) => MachineSettings | undefined;
  /** Bytes a second for merging in a repository. */
  readonly bandwidth: (repository: string) => number | undefined;
  readonly onChange: (machine: string) => void;
}

/** Keeps machines' histories as their rules ask: in pieces as checkpoints go, or the whole of one when asked. */
export class Histories {
  readonly #context: HistoriesContext;
  readonly #records = new Map<string, HistoryRecord>();
  readonly #turns = new Map<string, ThinningTurns>();
  readonly #background: Background;
  readonly #end = new AbortController();
  /** Each by itself: a store that hangs holds up no other machine. */
  readonly #counting = new Set<Promise<void>>();

  constructor(context: HistoriesContext) {
    this.#context = context;
    this.#background = new Background({
      run: (machine, signal, isBehind) => this.#some(machine, signal, isBehind),
      onError: (machine, err) => {
        context.logger.warn({ machine, err }, 'merging failed; it is tried again later');
      },
    });
  }

  /** A machine is there, with what an earlier run of the daemon has left of its history. */
  attached(machine: string): void {
    const begin = async (): Promise<void> => {
      try {
        if ((await this.#count(machine, this.#end)) > 0) this.#background.captured(machine);
      } catch (err) {
        this.#context.logger.debug({ machine, err }, 'its restore points were not counted yet');
      }
    };
    const counting = begin().finally(() => this.#counting.delete(counting));
    this.#counting.add(counting);
  }

  /** A machine has a checkpoint more. */
  captured(machine: string, { entry }: CheckpointResult): void {
    this.#record(machine).committed(entry);
    this.#background.captured(machine);
  }

  forget(machine: string): void {
    this.#background.forget(machine);
    this.#records.delete(machine);
    this.#turns.delete(machine);
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#counting);
    await this.#background.close();
  }

  /** A machine's status with what is known of its history. */
  complete(machine: MachineStatus): MachineStatus {
    const record = this.#records.get(machine.name);
    const [history, restorePoints] = [record?.status(), record?.points.value];
    return { ...machine, ...(history && { history }), ...(restorePoints !== undefined && { restorePoints }) };
  }

  /** Brings a machine's history to what its rules ask, by removing alone where it is not to be merged. */
  async whole(
    machine: string,
    settings: MachineSettings,
    dryRun: boolean,
    options: CallOptions,
  ): Promise<PruneResult> {
    if (!dryRun && settings.merge && settings.retention) {
      const all = () => this.#thin(machine, settings, { whole: true, isUrgent: () => true }, options);
      return pruneResult(await this.#turnsOf(machine).asked(all, options.signal));
    }
    const chain = await this.#context.chain(machine);
    const result = await pruneChain(chain, machine, settings, dryRun, options);
    if (dryRun) return result;
    this.#record(machine).removed(result.removed, result.freedBytes);
    await this.#count(machine, options);
    return result;
  }

  /** A piece of merging and removing. Where the whole is being done, that is as good. */
  async #some(machine: string, signal: AbortSignal, isUrgent: () => boolean): Promise<BackgroundOutcome> {
    const settings = this.#context.settings(machine);
    if (!settings) return NOTHING_DUE;
    try {
      if (!settings.merge) return await this.#counted(machine, { signal });
      const how = { whole: false, isUrgent };
      const piece = (either: AbortSignal) => this.#thin(machine, settings, how, { signal: either });
      const report = await this.#turnsOf(machine).piece(piece, signal);
      if (!report) return NOTHING_DUE;
      const { plan, planMs, merges } = report;
      const room = BOUND - Math.max(plan.path.newest, plan.path.worst);
      return { isMore: merges > 0 && plan.jobs.length > 0, costMs: planMs, room };
    } catch (error) {
      if (isFitdocError(error, 'REPOSITORY_LOCKED')) return NOTHING_DUE;
      throw error;
    }
  }

  async #thin(
    machine: string,
    settings: MachineSettings,
    how: Omit<ThinSettings, 'bandwidth'>,
    options: CallOptions,
  ): Promise<ThinReport | undefined> {
    const { engine, chain, logger } = this.#context;
    const record = this.#record(machine);
    const bandwidth = this.#context.bandwidth(settings.repository);
    const report = await thinChain(engine, await chain(machine), settings, { bandwidth, ...how }, options);
    if (!report) return undefined;
    record.thinned(report);
    this.#changed(machine, record);
    for (const err of report.failures) logger.warn({ machine, err }, 'a merge failed; the rest was done');
    return report;
  }

  async #counted(machine: string, options: CallOptions): Promise<BackgroundOutcome> {
    const started = performance.now();
    await this.#count(machine, options);
    return { ...NOTHING_DUE, costMs: performance.now() - started };
  }

  /** Others may have removed restore points, or stored some. 0 when the machine was forgotten meanwhile. */
  async #count(machine: string, { signal }: CallOptions): Promise<number> {
    const record = this.#record(machine);
    const { repository, machineId } = await this.#context.chain(machine);
    if (machineId === undefined) return 0;
    const points = await repository.checkpoints({ machine: machineId, ...(signal && { signal }) });
    const newest = points.reduce((most, { sequence }) => Math.max(most, sequence), -1);
    record.counted(points.length, newest);
    return this.#changed(machine, record) ? points.length : 0;
  }

  /** Tells of it, unless the machine was forgotten while it was looked at; whether it did. */
  #changed(machine: string, record: HistoryRecord): boolean {
    const isKnown = this.#records.get(machine) === record;
    if (isKnown) this.#context.onChange(machine);
    return isKnown;
  }

  #turnsOf(machine: string): ThinningTurns {
    const known = this.#turns.get(machine) ?? new ThinningTurns();
    this.#turns.set(machine, known);
    return known;
  }

  #record(machine: string): HistoryRecord {
    const known = this.#records.get(machine) ?? new HistoryRecord();
    this.#records.set(machine, known);
    return known;
  }
}
