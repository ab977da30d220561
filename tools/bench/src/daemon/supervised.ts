import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckpointResult } from '@fitdoc/engine';
import { parseConfiguration } from '../../../../apps/daemon/src/config/load.js';
import { createLogger } from '../../../../apps/daemon/src/log.js';
import type { HistoryStatus } from '../../../../apps/daemon/src/model.js';
import { StateFile } from '../../../../apps/daemon/src/supervisor/state-file.js';
import { Supervisor } from '../../../../apps/daemon/src/supervisor/supervisor.js';

/** How long nothing may have been merged until merging counts as ended. */
const QUIET_MS = 4000;

/** One checkpoint of one machine. */
export interface Taken {
  readonly machine: string;
  readonly pauseMs: number;
  /** From the request until it is durable. */
  readonly durableMs: number;
}

/** What merging did in all machines' histories, added up. */
export type Merged = Pick<HistoryStatus, 'merges' | 'mergedBytes' | 'capturedBytes' | 'removed'>;

/** The daemon's supervisor in this process, so that the cost of each checkpoint can be seen. */
export class Supervised {
  private constructor(
    private readonly supervisor: Supervisor,
    private readonly names: readonly string[],
  ) {}

  /**
   * Protects machines into a directory. `machines` are tables of the daemon's configuration, by name, whose
   * repository is `local`. Resolves when each has an increment; rejects with the last problem of one that has none.
   */
  static async start(
    directory: string,
    machines: Readonly<Record<string, readonly string[]>>,
    limitMs = 300_000,
  ): Promise<Supervised> {
    const text = configurationText(directory, machines);
    const supervisor = await Supervisor.start(parseConfiguration(text, 'of the bench'), {
      logger: createLogger('error'),
      state: await StateFile.open(path.join(directory, 'state')),
    });
    const supervised = new Supervised(supervisor, Object.keys(machines));
    try {
      await supervised.until(
        () => supervisor.machines().every(({ checkpoints }) => checkpoints > 1),
        limitMs,
        'all machines have an increment',
      );
      return supervised;
    } catch (error) {
      await supervised.stop();
      throw error;
    }
  }

  /** Has checkpoints taken of these machines only; resolves when those of the others and their merges have ended. */
  async only(names: readonly string[]): Promise<void> {
    for (const name of this.names) {
      const controller = this.supervisor.controller(name);
      if (names.includes(name)) controller.resume();
      else controller.suspend();
    }
    const others = this.names.filter((name) => !names.includes(name));
    const last = { merges: -1, sinceMs: 0 };
    await this.until(
      () => {
        const { merges } = this.merged(others);
        if (merges !== last.merges) Object.assign(last, { merges, sinceMs: performance.now() });
        const isIdle = others.every((name) => this.supervisor.status(name).state === 'suspended');
        return isIdle && performance.now() - last.sinceMs >= QUIET_MS;
      },
      120_000,
      'the other machines are at rest',
    );
  }

  /** The increments of so many milliseconds. */
  async take(milliseconds: number): Promise<Taken[]> {
    const taken: Taken[] = [];
    const note = (machine: string, { entry, cost }: CheckpointResult): void => {
      if (entry.kind !== 'increment') return;
      taken.push({ machine, pauseMs: cost.pauseMs, durableMs: cost.captureMs + cost.commitMs });
    };
    this.supervisor.events.on('result', note);
    await sleep(milliseconds);
    this.supervisor.events.off('result', note);
    return taken;
  }

  merged(names: readonly string[]): Merged {
    const sum: Record<keyof Merged, number> = { merges: 0, mergedBytes: 0, capturedBytes: 0, removed: 0 };
    for (const name of names) {
      const history = this.supervisor.status(name).history;
      for (const key of Object.keys(sum) as (keyof Merged)[]) sum[key] += history?.[key] ?? 0;
    }
    return sum;
  }

  /** Checkpoints that failed, or that were left out because a machine fell behind. */
  lacking(names: readonly string[]): number {
    return names.reduce((sum, name) => {
      const { failures, missed } = this.supervisor.status(name);
      return sum + failures + missed;
    }, 0);
  }

  stop(): Promise<void> {
    return this.supervisor.stop();
  }

  async until(isReached: () => boolean, limitMs: number, what: string): Promise<void> {
    const end = performance.now() + limitMs;
    while (!isReached()) {
      if (performance.now() > end) throw new Error(`not so after ${limitMs} ms: ${what}${this.problems()}`);
      await sleep(50);
    }
  }

  private problems(): string {
    return this.supervisor
      .machines()
      .flatMap(({ name, lastProblem }) => (lastProblem ? [`; ${name}: ${lastProblem.message}`] : []))
      .join('');
  }
}

function configurationText(directory: string, machines: Readonly<Record<string, readonly string[]>>): string {
  const tables = Object.entries(machines).flatMap(([name, lines]) => [
    `[machines.${name}]`,
    'repository = "local"',
    ...lines,
  ]);
  return [
    '[daemon]',
    `socket = ${JSON.stringify(path.join(directory, 'daemon.sock'))}`,
    '[repositories.local]',
    `location = ${JSON.stringify(path.join(directory, 'repository'))}`,
    'create = true',
    ...tables,
    '',
  ].join('\n');
}
