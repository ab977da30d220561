import { Cron } from 'croner';
import type { MachineSettings } from '../config/schema.js';

/** When checkpoints are due. */
export interface Pace {
  /** For people: `every 1s`. */
  readonly description: string;
  /** The interval in force, where there is one. */
  readonly intervalMs: number | undefined;
  /** When the next is due, given when the last was due; milliseconds since 1970. */
  next(lastDueMs: number, nowMs: number): number;
  /** Learns what a checkpoint cost: the guest's pause, and the time until it was durable. */
  learn(pauseMs: number, commitMs: number): void;
}

export function paceOf(settings: MachineSettings): Pace {
  if (settings.cron !== undefined) return cronPace(settings.cron);
  if (settings.adaptive !== undefined) return new AdaptivePace(settings.adaptive);
  return intervalPace(settings.every ?? 1000);
}

function intervalPace(everyMs: number): Pace {
  return {
    description: `every ${everyMs} ms`,
    intervalMs: everyMs,
    next: (lastDue, now) => onGrid(lastDue, everyMs, now),
    learn: () => undefined,
  };
}

/** The first multiple after the last one due that has not passed: what was missed is left out, not caught up. */
function onGrid(lastDue: number, everyMs: number, now: number): number {
  const due = lastDue + everyMs;
  return due >= now ? due : due + Math.ceil((now - due) / everyMs) * everyMs;
}

function cronPace(pattern: string): Pace {
  const cron = new Cron(pattern, { paused: true });
  return {
    description: `cron ${pattern}`,
    intervalMs: undefined,
    next: (lastDue, now) => cron.nextRun(new Date(Math.max(lastDue, now)))?.getTime() ?? Number.POSITIVE_INFINITY,
    learn: () => undefined,
  };
}

/** Weight of a new measurement in the running mean. */
const WEIGHT = 0.2;

/**
 * The interval that loses the least time to checkpoints and failures together, from the measured cost C of a
 * checkpoint and the mean time M between failures: J. T. Daly, Future Generation Computer Systems 22 (2006),
 * equation 37, whose first term is J. W. Young's sqrt(2CM), CACM 17 (1974). C is what the guest notices: its
 * pause. The interval is never shorter than a checkpoint takes to become durable.
 */
export class AdaptivePace implements Pace {
  #cost: number | undefined;
  #commit = 0;

  constructor(private readonly settings: { readonly mtbf: number; readonly min: number; readonly max: number }) {}

  get description(): string {
    return `adaptive, ${Math.round(this.intervalMs)} ms now`;
  }

  get intervalMs(): number {
    const { min, max, mtbf } = this.settings;
    const wanted = this.#cost === undefined ? min : dalyInterval(this.#cost, mtbf);
    return Math.min(max, Math.max(min, wanted, this.#commit));
  }

  next(lastDue: number, now: number): number {
    return onGrid(lastDue, this.intervalMs, now);
  }

  learn(pauseMs: number, commitMs: number): void {
    this.#cost = this.#cost === undefined ? pauseMs : this.#cost + WEIGHT * (pauseMs - this.#cost);
    this.#commit = this.#commit === 0 ? commitMs : this.#commit + WEIGHT * (commitMs - this.#commit);
  }
}

/** Daly's interval between checkpoints; both arguments and the result in the same unit. */
export function dalyInterval(cost: number, mtbf: number): number {
  if (cost >= 2 * mtbf) return mtbf;
  const ratio = cost / (2 * mtbf);
  return Math.sqrt(2 * cost * mtbf) * (1 + Math.sqrt(ratio) / 3 + ratio / 9) - cost;
}
