import type { ErrorCode } from '@fitdoc/interface';
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

/** Encode blocks of a disk that are given as they are. */
export interface BlocksTask {
  readonly kind: 'blocks';
  readonly gfns: Uint32Array;
  readonly kinds: Uint8Array;
  readonly masks: Uint8Array;
  readonly words: Uint8Array<SharedArrayBuffer>;
  readonly pages: Uint8Array<SharedArrayBuffer>;
  readonly settings: EncodeSettings;
}

/** Where a decoded batch goes: an image, or a window of shared memory that starts at page `firstGfn`. */
export type ApplyTarget =
  | {
      readonly kind: 'image';
      readonly image: ImageHandle;
      /** The pages go on to the image's cold file. */
      readonly out?: boolean;
    }
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

/**
 * Make one batch of merged pages: `gfns` (ascending, within the window) with the words that are known of them, or,
 * of a base, those that are not zero. Their part of the window is zero afterwards.
 */
export interface MergeTask {
  readonly kind: 'merge';
  readonly memory: SharedArrayBuffer;
  readonly known: SharedArrayBuffer;
  readonly firstGfn: number;
  readonly gfns: Uint32Array;
  readonly ofBase: boolean;
  readonly settings: EncodeSettings;
}

/** Undefined: none of the pages has anything to store. */
export type MergeResult = { readonly encoded: EncodedBatch; readonly gfns: Uint32Array } | undefined;

/** Decode batches into layers, one each; see `Layer`. */
export interface LayersTask {
  readonly kind: 'layers';
  readonly encoded: readonly Uint8Array[];
}

/** Rebuild the pages from `start` to before `end`: a batch of the base, with layers over it in their order. */
export interface RebuildTask {
  readonly kind: 'rebuild';
  readonly start: number;
  readonly end: number;
  readonly base: Uint8Array | undefined;
  readonly layers: readonly SharedArrayBuffer[];
  /** Gets the pages that are not zero. */
  readonly memory: SharedArrayBuffer;
}

export interface RebuildResult {
  /** For each run of pages that are not zero: first gfn, number, and place of the first in the memory, in pages. */
  readonly runs: Uint32Array;
}

/** A file of pages: those from `firstGfn` to before `endGfn`, each at its distance from `originGfn`. */
export interface PatchFile {
  readonly fd: number;
  readonly originGfn: number;
  readonly firstGfn: number;
  readonly endGfn: number;
}

/** Write a batch over pages in files, which hold what the batch was made to lie on. */
export interface PatchTask {
  readonly kind: 'patch';
  readonly encoded: Uint8Array;
  readonly files: readonly PatchFile[];
}

export interface PatchResult {
  /** The system's code of a read or write that failed: `ENOSPC`. Then some of the batch may be written. */
  readonly errno?: string;
}

export type EngineTask =
  EncodeTask | BlocksTask | ApplyTask | MergeTask | DiffWork | LayersTask | RebuildTask | PatchTask;

export type TaskResult =
  | EncodeResult
  | EncodedBatch
  | MergeResult
  | readonly ApplyResult[]
  | DiffResult
  | readonly SharedArrayBuffer[]
  | RebuildResult
  | PatchResult;

/** What comes back from a worker: the result, or a FitdocError's parts. */
export type TaskOutcome =
  | { readonly value: TaskResult }
  | {
      readonly failure: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly hint: string | undefined;
        readonly details: Readonly<Record<string, unknown>>;
      };
    };

export type { DiffResult, DiffTask };
