import type { CheckpointEntry } from '@fitdoc/repository';
import type { FitdocError, Progress } from '@fitdoc/interface';

/** What a checkpoint cost, beside what is stored in its summary. */
export interface CheckpointCost {
  /** Milliseconds in which the guest stood still. */
  readonly pauseMs: number;
  /** The pause by the adapter's own steps, milliseconds. */
  readonly pausePhases: Readonly<Record<string, number>>;
  /** Pages that the hypervisor delivered. */
  readonly dirtyPages: number;
  /** Delivered pages in which no word differed from the image. */
  readonly unchangedPages: number;
  readonly changedPages: number;
  readonly changedWords: number;
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
  /** The chain could not be read; protection goes on with a new base. */
  | { readonly type: 'resume-failed'; readonly from: CheckpointEntry; readonly error: FitdocError }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'checkpoint'; readonly result: CheckpointResult }
  | { readonly type: 'checkpoint-failed'; readonly error: FitdocError }
  /** A scheduled checkpoint was left out because the one before it was still under way. */
  | { readonly type: 'skipped'; readonly missed: number }
  | { readonly type: 'gone'; readonly error: FitdocError };
