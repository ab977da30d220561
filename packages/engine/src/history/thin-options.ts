import type { CallOptions, DeleteFailure, FitdocError } from '@fitdoc/interface';
import type { CheckpointEntry, HistoryPlan, MergeJob, Pace } from '@fitdoc/repository';

/** What thinning says while it goes on. */
export type ThinEvent =
  | { readonly type: 'merged'; readonly job: MergeJob; readonly entry: CheckpointEntry; readonly ms: number }
  | { readonly type: 'merge-failed'; readonly job: MergeJob; readonly error: FitdocError }
  | { readonly type: 'removed'; readonly entries: readonly CheckpointEntry[]; readonly freedBytes: number };

export interface ThinOptions extends CallOptions {
  /** Bytes a second that merging may read and write together. Default: no limit. */
  readonly bandwidth?: number;
  /** Bytes of memory that merging may take. Default 96 MiB. */
  readonly memory?: number;
  /** Merges that are done at most; what is left is for the next time. Default: all. */
  readonly merges?: number;
  /**
   * When to merge what the next captures will move on. Default `exact`: for who asks once. Who asks again and again
   * writes less with `prompt`, and least with `lazy`.
   */
  readonly pace?: Pace;
  /**
   * Whether somebody waits for it, or falls behind without it; asked again and again. What is not urgent runs at a
   * lower priority, which a host that is busy may hardly give anything. Default: always.
   */
  readonly isUrgent?: () => boolean;
  /** Objects that must be there to go before any is removed. Default 1. */
  readonly removals?: number;
  /** Default `zstd`. */
  readonly compressor?: string;
  readonly level?: number;
  readonly onEvent?: (event: ThinEvent) => void;
  /** Milliseconds to wait for another who merges or removes. Default: the repository's. */
  readonly waitMs?: number;
}

/** What became of one machine's history. */
export interface ThinReport {
  readonly machineId: string;
  /** As things are now. Its `jobs` are what is left to do. */
  readonly plan: HistoryPlan;
  readonly merges: number;
  /** Milliseconds that planning took, listing included. */
  readonly planMs: number;
  /** Bytes of what was merged, and of what came of it. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly removed: readonly CheckpointEntry[];
  readonly freedBytes: number;
  /** What should go and could not be deleted. */
  readonly stuck: readonly DeleteFailure[];
  readonly failures: readonly FitdocError[];
}
