import type { CheckpointEntry, DamagedEntry } from '@fitdoc/repository';
import type { DiskCost } from '../disks/disk-harvest.js';
import type { PauseHookOutcome } from './pause-hook.js';
import type { FitdocError, PauseBudgetOutcome, Progress, QuiesceOutcome } from '@fitdoc/interface';

/** What a checkpoint cost, beside what is stored in its summary. */
export interface CheckpointCost {
  /** Milliseconds in which the guest stood still. */
  readonly pauseMs: number;
  /** The pause by the adapter's own steps, milliseconds. */
  readonly pausePhases: Readonly<Record<string, number>>;
  /** What became of the pause's budget, where one was given and is heeded. */
  readonly pauseBudget?: PauseBudgetOutcome;
  /** What became of the wish to have file systems frozen. */
  readonly quiesced?: QuiesceOutcome;
  /** What became of the pause hook, where there is one. */
  readonly pauseHook?: PauseHookOutcome;
  /** Pages that the hypervisor delivered. */
  readonly dirtyPages: number;
  /** Delivered pages in which no word differed from the image. */
  readonly unchangedPages: number;
  readonly changedPages: number;
  readonly changedWords: number;
  /** Of each disk that was captured; empty where there are none. */
  readonly disks: readonly DiskCost[];
  /** Milliseconds of the whole capture call, pause included. */
  readonly captureMs: number;
  /** Milliseconds of the comparison after the resume. */
  readonly diffMs: number;
  /** Milliseconds from the resume to the durable checkpoint, comparison included. */
  readonly commitMs: number;
}

export interface CheckpointResult {
  readonly entry: CheckpointEntry;
  readonly cost: CheckpointCost;
  /** What the adapter or the engine wants people to know. */
  readonly notes: readonly string[];
}

/** What a protection tells while it works. Handlers are called synchronously and must not throw. */
export type ProtectionEvent =
  | { readonly type: 'resuming'; readonly from: CheckpointEntry }
  | { readonly type: 'resumed'; readonly from: CheckpointEntry }
  /**
   * The chain cannot be read any more; protection goes on with a new base. The error's details name the object:
   * `key`, or `missingParentId` where there is none.
   */
  | { readonly type: 'resume-failed'; readonly from: CheckpointEntry; readonly error: FitdocError }
  /** Objects at the end of the chain are damaged; protection goes on from the checkpoint before them. */
  | {
      readonly type: 'damaged';
      readonly entries: readonly DamagedEntry[];
      readonly from: CheckpointEntry | undefined;
    }
  /** An object that the protection stands on was found lost; the next checkpoint goes on without it. */
  | { readonly type: 'chain-broken'; readonly error: FitdocError }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'checkpoint'; readonly result: CheckpointResult }
  | { readonly type: 'checkpoint-failed'; readonly error: FitdocError }
  /** A scheduled checkpoint was left out because the one before it was still under way. */
  | { readonly type: 'skipped'; readonly missed: number }
  /** The guest stands by its operator's doing or its own: no checkpoint is taken until it runs, and none has failed. */
  | { readonly type: 'standing'; readonly error: FitdocError }
  /** The guest that stood runs again. */
  | { readonly type: 'running' }
  /** The guest has ended, as guests do: no failure. */
  | { readonly type: 'ended'; readonly error: FitdocError }
  | { readonly type: 'gone'; readonly error: FitdocError };
