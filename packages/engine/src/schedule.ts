import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  abortError,
  isFitdocError,
  type CallOptions,
  type FitdocError,
  type Machine,
} from '@fitdoc/interface';
import type { CheckpointResult, ProtectionEvent } from './events.js';
import type { TakeOptions } from './take-checkpoint.js';

/** The least wait after a failed checkpoint: what made it fail is seldom gone at once. */
const RETRY_MS = 500;

/** What a schedule needs of a protection. */
interface Scheduled {
  readonly machine: Machine;
  checkpoint(options: TakeOptions): Promise<CheckpointResult>;
}

export interface ScheduleOptions extends CallOptions {
  /** Milliseconds from the start of one checkpoint to the start of the next. */
  readonly everyMs: number;
  /** Checkpoints to take; failed ones do not count. Default: no end. */
  readonly count?: number;
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
  let due = performance.now();
  for (let taken = 0; taken < count;) {
    await waitUntil(due, [signal, stop, gone]);
    if (signal?.aborted) throw abortError(signal);
    if (stop?.aborted) return;
    if (gone.aborted) return endOfMachine(gone, emit);
    due += everyMs;
    const result = await attempt(protection, options);
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

/** A checkpoint, or undefined when it failed: that was an event, and the next checkpoint holds all of it. */
async function attempt(
  protection: Scheduled,
  options: ScheduleOptions,
): Promise<CheckpointResult | undefined> {
  const { signal, onProgress } = options;
  try {
    return await protection.checkpoint({ ...(signal && { signal }), ...(onProgress && { onProgress }) });
  } catch (error) {
    // A guest that was left paused needs its operator now, not another try.
    if (!isFitdocError(error) || error.code === 'MACHINE_PAUSED' || signal?.aborted) throw error;
    return undefined;
  }
}

/** A machine whose recording has been played to its end is no failure; any other end is. */
function endOfMachine(gone: AbortSignal, emit: (event: ProtectionEvent) => void): void {
  const error: FitdocError = abortError(gone);
  if (error.details['ended'] === true) return;
  emit({ type: 'gone', error });
  throw error;
}

async function waitUntil(due: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  const remaining = due - performance.now();
  const present = signals.filter((signal) => signal !== undefined);
  if (remaining <= 0 || present.some((signal) => signal.aborted)) return;
  await sleep(remaining, undefined, { signal: AbortSignal.any(present) }).catch(() => undefined);
}
