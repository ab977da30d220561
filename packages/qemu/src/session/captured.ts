import type { DeviceState, PauseBudgetOutcome, PausePhases } from '@fitdoc/interface';
import type { Quiesced } from '../agent/quiesce.js';
import type { CheckpointTimes } from '../stream/checkpoint.js';
import type { PauseWatch } from './pause.js';

/** What one capture brought, apart from the pages. */
export interface Captured extends Quiesced {
  readonly kind: 'full' | 'increment';
  readonly deviceState: readonly DeviceState[];
  readonly pauseMs: number;
  readonly pausePhases: PausePhases;
  readonly capturedAtMs: number;
  readonly notes: readonly string[];
  /** QEMU ended the migration where COLO was to begin: no increment will ever follow. */
  readonly withoutColo?: true;
  readonly pauseBudget?: PauseBudgetOutcome;
}

/**
 * Of a checkpoint that was read as it came: milliseconds from the stop to the first byte, to the end of memory, of
 * the devices, and to the resumption, by when the bytes reached us. Else all of it was QEMU's.
 */
export function phases(
  { stoppedAtMs, resumedAtMs }: PauseWatch,
  times: CheckpointTimes | undefined,
): PausePhases {
  if (times === undefined) return { qemu: Math.max(0, resumedAtMs - stoppedAtMs) };
  const step = (from: number, to: number): number => Math.max(0, Math.min(to, resumedAtMs) - from);
  return {
    stop: step(stoppedAtMs, times.begun),
    memory: step(times.begun, times.memory),
    devices: step(times.memory, times.devices),
    resume: step(times.devices, resumedAtMs),
  };
}
