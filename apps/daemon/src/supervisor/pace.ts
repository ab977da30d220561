import type { MachineSettings } from '../config/schema.js';
import { CronPace } from './cron-pace.js';
import type { Pace } from './due.js';

export type { Pace };

export function paceOf(settings: MachineSettings): Pace {
  if (settings.cron !== undefined) return new CronPace(settings.cron);
  if (settings.adaptive !== undefined) return new AdaptivePace(settings.adaptive);
  return intervalPace(settings.every ?? 1000);
}

/** Whether two machines' settings ask for the same schedule. */
export function samePace(one: MachineSettings, other: MachineSettings): boolean {
  const key = ({ every, cron, adaptive }: MachineSettings): string => JSON.stringify([every, cron, adaptive]);
  return key(one) === key(other);
}

function intervalPace(everyMs: number): Pace {
  return {
    description: `every ${everyMs} ms`,
    intervalMs: everyMs,
    first: (now) => now,
    next: (lastDue, now) => onGrid(lastDue, everyMs, now),
    missed: (lastDue, until) => missedOnGrid(lastDue, everyMs, until),
    learn: () => undefined,
  };
}

/** The first multiple after the last one due that has not passed: what was missed is left out, not caught up. */
function onGrid(lastDue: number, everyMs: number, now: number): number {
  const due = lastDue + everyMs;
  return due >= now ? due : due + Math.ceil((now - due) / everyMs) * everyMs;
}

function missedOnGrid(lastDue: number, everyMs: number, until: number): number {
  return Math.max(0, Math.ceil((until - lastDue) / everyMs) - 1);
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

  constructor(
    private readonly settings: { readonly mtbf: number; readonly min: number; readonly max: number },
  ) {}

  get description(): string {
    return `adaptive, ${Math.round(this.intervalMs)} ms now`;
  }

  get intervalMs(): number {
    const { min, max, mtbf } = this.settings;
    const wanted = this.#cost === undefined ? min : dalyInterval(this.#cost, mtbf);
    return Math.min(max, Math.max(min, wanted, this.#commit));
  }

  first(now: number): number {
    return now;
  }

  next(lastDue: number, now: number): number {
    return onGrid(lastDue, this.intervalMs, now);
  }

  missed(lastDue: number, until: number): number {
    return missedOnGrid(lastDue, this.intervalMs, until);
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
