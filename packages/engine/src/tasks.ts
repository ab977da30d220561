import type { ErrorCode, PageBatch } from '@fitdoc/interface';
import type { DiffResult, DiffTask, ImageHandle } from '@fitdoc/diff';
import type { EncodedBatch } from '@fitdoc/codec';

/** How batches are encoded: names and levels only, so that it crosses to workers. */
export interface EncodeSettings {
  readonly compressor: string;
  readonly level?: number;
}

/** Gather the pending words of `gfns` (at most 1024, ascending) from an image and encode them. */
export interface EncodeTask {
  readonly kind: 'encode';
  readonly image: ImageHandle;
  readonly gfns: Uint32Array;
  /** A flag a gfn: 1 stores the page whole whatever changed. */
  readonly forceWhole: Uint8Array;
  readonly settings: EncodeSettings;
}

export interface EncodeResult {
  readonly encoded: EncodedBatch;
  /** The pages that the batch holds: those asked for whose pending mask was not empty. */
  readonly gfns: Uint32Array;
  /** A PageKind a page of `gfns`. */
  readonly kinds: Uint8Array;
  /** Changed words a page of `gfns`; 0 for pages that are not KIND_WORDS. */
  readonly wordCounts: Uint16Array;
}

/** Where a decoded batch goes: an image, or a window of shared memory that starts at page `firstGfn`. */
export type ApplyTarget =
  | { readonly kind: 'image'; readonly image: ImageHandle }
  | {
      readonly kind: 'window';
      readonly memory: SharedArrayBuffer;
      readonly firstGfn: number;
      readonly pages: number;
      /** 64 bytes a page of the window: gets a bit for every word that a batch wrote. For merging. */
      readonly known?: SharedArrayBuffer;
    };

/** Decode batches and write, one after the other, the pages that lie in the target. */
export interface ApplyTask {
  readonly kind: 'apply';
  readonly encoded: readonly Uint8Array[];
  readonly target: ApplyTarget;
}

/** What one batch of an ApplyTask held. */
export interface ApplyResult {
  readonly gfns: Uint32Array;
  readonly kinds: Uint8Array;
  readonly wordCounts: Uint16Array;
}

export interface DiffWork {
  readonly kind: 'diff';
  readonly task: DiffTask;
}

/** Encode a batch that is there already. */
export interface EncodeBatchTask {
  readonly kind: 'encode-batch';
  readonly batch: PageBatch;
  readonly settings: EncodeSettings;
}

export type EngineTask = EncodeTask | EncodeBatchTask | ApplyTask | DiffWork;

/** What comes back from a worker: the result, or a FitdocError's parts. */
export type TaskOutcome =
  | { readonly value: EncodeResult | EncodedBatch | readonly ApplyResult[] | DiffResult }
  | {
      readonly failure: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly hint: string | undefined;
        readonly details: Readonly<Record<string, unknown>>;
      };
    };

export type { DiffResult, DiffTask };
