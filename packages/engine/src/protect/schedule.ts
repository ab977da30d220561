import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  abortError,
  isFitdocError,
  withLinkedSignal,
  type CallOptions,
  type FitdocError,
  type Machine,
  type PauseBudget,
} from '@fitdoc/interface';
import type { CheckpointResult, ProtectionEvent } from './events.js';
import { RepeatedFailure } from './repeated-failure.js';
import type { TakeOptions } from './take-checkpoint.js';

/** The least wait after a failed checkpoint: what made it fail is seldom gone at once. */
const RETRY_MS = 500;

/** A guest that was left paused, and a chain that another writes, need their operator now, not another try. */
const ENDS = new Set<string>(['MACHINE_PAUSED', 'MACHINE_CONFLICT']);

/** How often a guest that stands is asked whether it runs, milliseconds: its operator may let it run at any time. */
const LOOK_MS = 250;

/** What a schedule needs of a protection. */
interface Scheduled {
  readonly machine: Machine;
  standing?(options: CallOptions): Promise<FitdocError | undefined>;
  checkpoint(options: TakeOptions): Promise<CheckpointResult>;
}

export interface ScheduleOptions extends CallOptions {
  /** Milliseconds from the start of one checkpoint to the start of the next. */
  readonly everyMs: number;
  /** Checkpoints to take; failed ones do not count. Default: no end. */
  readonly count?: number;
  /** For each checkpoint; see TakeOptions. One that it refuses is left out, and the schedule goes on. */
  readonly pauseBudget?: PauseBudget;
  /** Ends the schedule gently: the checkpoint under way finishes. */
  readonly stop?: AbortSignal;
}

export async function* runSchedule(
  protection: Scheduled,
  emit: (event: ProtectionEvent) => void,
  options: ScheduleOptions,
): AsyncGenerator<CheckpointResult> {
  const { everyMs, count = Number.POSITIVE_INFINITY, signal, stop } = options;
  const { gone } = protection.machine;
  const failures = new RepeatedFailure();
  let due = performance.now();
  for (let taken = 0; taken < count;) {
    await waitUntil(due, [signal, stop, gone]);
    if (signal?.aborted) throw abortError(signal);
    if (stop?.aborted) return;
    if (gone.aborted) return endOfMachine(gone, emit);
    const stood = await whileStanding(protection, emit, options);
    if (stood === 'ended') return;
    if (stood === 'stood') {
      due = performance.now();
      continue;
    }
    due += everyMs;
    const result = await attempt(protection, failures, options);
    if (result) {
      taken++;
      yield result;
    }
    const now = performance.now();
    if (everyMs > 0 && now > due) {
      const missed = Math.ceil((now - due) / everyMs);
      emit({ type: 'skipped', missed });
      due += missed * everyMs;
    }
    if (!result) due = Math.max(due, now + RETRY_MS);
  }
}

/**
 * Waits for as long as the guest stands by its operator's doing or its own, or until something else ends the wait.
 * `ended`: it will not run again by itself.
 */
async function whileStanding(
  protection: Scheduled,
  emit: (event: ProtectionEvent) => void,
  { signal, stop }: ScheduleOptions,
): Promise<'runs' | 'stood' | 'ended'> {
  const { gone } = protection.machine;
  let told: unknown;
  for (;;) {
    const error = await protection.standing?.({ ...(signal && { signal }) }).catch(unlessGone(gone));
    if (error === undefined) {
      if (told !== undefined && !gone.aborted) emit({ type: 'running' });
      return told === undefined ? 'runs' : 'stood';
    }
    if (error.details['ended'] === true) {
      emit({ type: 'ended', error });
      return 'ended';
    }
    if (told !== error.details['state']) emit({ type: 'standing', error });
    told = error.details['state'];
    await waitUntil(performance.now() + LOOK_MS, [signal, stop, gone]);
    if (signal?.aborted || stop?.aborted || gone.aborted) return 'stood';
  }
}

/** The end of the machine is looked at elsewhere. */
function unlessGone(gone: AbortSignal): (error: unknown) => undefined {
  return (error) => {
    if (!gone.aborted) throw error;
  };
}

/** A checkpoint, or undefined when it failed: that was an event, and the next checkpoint holds all of it. */
async function attempt(
  protection: Scheduled,
  failures: RepeatedFailure,
  options: ScheduleOptions,
): Promise<CheckpointResult | undefined> {
  const { signal, onProgress, pauseBudget } = options;
  try {
    const take = {
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
      ...(pauseBudget && { pauseBudget }),
    };
    const result = await protection.checkpoint(take);
    failures.reset();
    return result;
  } catch (error) {
    if (!isFitdocError(error) || ENDS.has(error.code) || signal?.aborted) throw error;
    if (failures.isFinal(error)) throw error;
    // Nobody can be asked whether it runs again.
    if (error.code === 'MACHINE_NOT_RUNNING' && !protection.machine.standing) throw error;
    return undefined;
  }
}

/** A guest that powered off, or whose recording has been played to its end, is no failure; any other end is. */
function endOfMachine(gone: AbortSignal, emit: (event: ProtectionEvent) => void): void {
  const error: FitdocError = abortError(gone);
  if (error.details['ended'] === true) return emit({ type: 'ended', error });
  emit({ type: 'gone', error });
  throw error;
}

async function waitUntil(due: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  const remaining = due - performance.now();
  const present = signals.filter((signal) => signal !== undefined);
  if (remaining <= 0 || present.some((signal) => signal.aborted)) return;
  await withLinkedSignal(present, (signal) => sleep(remaining, undefined, { signal })).catch(() => undefined);
}
