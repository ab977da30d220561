import { Cron } from 'croner';
import type { Pace } from './due.js';

/** Most missed runs of a cron pattern that are counted at a time: looking for them takes time. */
const MOST_MISSED_RUNS = 1000;
/** A clock that is further from where it should be than this was set. */
const STEP_MS = 1000;
/** By how much local times may repeat when a zone's offset falls. */
const FOLDS_MS = [1_800_000, 3_600_000, 7_200_000] as const;
const HOUR_MS = 3_600_000;
const LONGEST_SEARCH_MS = 366 * 24 * HOUR_MS;

/**
 * The times of a cron pattern, in the process's zone. Where the hour is fixed, a local time that a change of the
 * clocks leaves out runs once right after it, and one that comes twice runs the first time only; a pattern for every
 * hour goes on evenly by real time. All times in and out are by a steady clock; when somebody sets the wall clock, the
 * next run is sought anew from there: what was skipped runs once, what comes again is not waited for.
 */
export class CronPace implements Pace {
  readonly description: string;
  readonly intervalMs = undefined;
  readonly #cron: Cron;
  /** The same pattern over local times taken for UTC: tells what a gap left out. */
  readonly #local: Cron;
  readonly #everyHour: boolean;
  readonly #wallNow: () => number;
  /** Wall clock less steady clock, when it was looked at last. */
  #offset: number | undefined;

  constructor(pattern: string, wallNow: () => number = Date.now) {
    this.description = `cron ${pattern}`;
    this.#cron = new Cron(pattern, { paused: true });
    this.#local = new Cron(pattern, { paused: true, timezone: 'UTC' });
    this.#everyHour = isEveryHour(pattern);
    this.#wallNow = wallNow;
  }

  first(nowMs: number, hasCheckpoint: boolean): number {
    return hasCheckpoint ? this.next(nowMs, nowMs) : nowMs;
  }

  next(lastDueMs: number, nowMs: number): number {
    const offset = this.#look(nowMs);
    return this.after(Math.max(lastDueMs, nowMs) + offset) - offset;
  }

  missed(lastDueMs: number, untilMs: number): number {
    const offset = this.#offset ?? 0;
    let count = 0;
    let due = this.after(lastDueMs + offset);
    for (; due < untilMs + offset && count < MOST_MISSED_RUNS; due = this.after(due)) count++;
    return count;
  }

  revise(dueMs: number, nowMs: number): number {
    const before = this.#offset;
    const offset = this.#look(nowMs);
    if (before === undefined || Math.abs(offset - before) < STEP_MS) return dueMs;
    const skipped = dueMs + before <= nowMs + offset;
    return skipped ? nowMs : this.after(nowMs + offset) - offset;
  }

  learn(): void {
    // The times are what they are.
  }

  /** The first run after a moment, both in milliseconds since 1970; infinite when there is none. */
  after(wallMs: number): number {
    let run = wallMs;
    do run = this.#cron.nextRun(new Date(run))?.getTime() ?? Number.POSITIVE_INFINITY;
    while (!this.#everyHour && isRepeated(run));
    if (this.#everyHour) return run;
    return this.#afterGap(wallMs, run) ?? run;
  }

  /** The end of a gap in local time that lies before `run` and swallowed another. */
  #afterGap(fromMs: number, run: number): number | undefined {
    const end = Math.min(run, fromMs + LONGEST_SEARCH_MS);
    for (let at = fromMs; at < end; at += HOUR_MS) {
      const gap = gapWithin(at, Math.min(at + HOUR_MS, end));
      if (gap === undefined || gap.endMs <= fromMs) continue;
      const local = gap.endMs + offsetOf(gap.endMs - 1);
      const left = this.#local.nextRun(new Date(local - 1))?.getTime() ?? Number.POSITIVE_INFINITY;
      if (left < local + gap.lengthMs) return gap.endMs;
    }
    return undefined;
  }

  #look(nowMs: number): number {
    this.#offset = this.#wallNow() - nowMs;
    return this.#offset;
  }
}

/** Whether a pattern has no fixed hours: its hour field is `*` or a step of it. */
function isEveryHour(pattern: string): boolean {
  if (pattern.startsWith('@')) return pattern === '@hourly';
  const fields = pattern.trim().split(/\s+/);
  return /^\*(\/\d+)?$/.test(fields[fields.length - 4] ?? '*');
}

/** Local time less UTC, in milliseconds. */
function offsetOf(wallMs: number): number {
  return -new Date(wallMs).getTimezoneOffset() * 60_000;
}

/** Whether the local time of a moment was there before. */
function isRepeated(wallMs: number): boolean {
  if (!Number.isFinite(wallMs)) return false;
  return FOLDS_MS.some((fold) => offsetOf(wallMs - fold) - offsetOf(wallMs) === fold);
}

/** Where local time jumps forward between two moments. */
function gapWithin(fromMs: number, toMs: number): { endMs: number; lengthMs: number } | undefined {
  const lengthMs = offsetOf(toMs) - offsetOf(fromMs);
  if (lengthMs <= 0) return undefined;
  let [low, high] = [fromMs, toMs];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetOf(middle) === offsetOf(toMs)) high = middle;
    else low = middle;
  }
  return { endMs: high, lengthMs };
}
