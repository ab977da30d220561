import type { Compressor, PageBatch } from '@fitdoc/interface';

/** Whether to group the bytes of words by significance: where a sample shows that it pays, or not at all, or always. */
export type ShuffleChoice = 'auto' | 'never' | 'always';

export interface CodecOptions {
  /** Name of the method that `encode` uses: `zstd` (the default), `lz4`, `none`, or one of `compressors`. */
  readonly compressor?: string;
  /** The method's level for all columns; clamped to its range. Default 3, and 2 for whole pages. */
  readonly level?: number;
  /** Default `auto`. */
  readonly shuffle?: ShuffleChoice;
  /** Further methods, for `encode` and `decode`. One with a built-in method's name replaces it. */
  readonly compressors?: readonly Compressor[];
}

/** What became of one column. */
export interface ColumnReport {
  readonly name: 'gfns' | 'kinds' | 'masks' | 'nonzero' | 'words' | 'pages' | 'copies';
  readonly rawBytes: number;
  readonly storedBytes: number;
  /** `none` when compression would not have made it smaller. */
  readonly compressor: string;
}

/** A batch as bytes, and what it holds. */
export interface EncodedBatch {
  readonly bytes: Uint8Array;
  readonly pages: number;
  /** Bytes of guest memory that the pages stand for. */
  readonly rawBytes: number;
  /** Words stored for KIND_WORDS pages. */
  readonly changedWords: number;
  readonly wholePages: number;
  readonly zeroPages: number;
  /** The columns that are there, in stored order. */
  readonly columns: readonly ColumnReport[];
}

export interface DecodeOptions {
  /** What is largest of it may lie in memory that the codec's next call overwrites, which spares a copy. Default false. */
  readonly transient?: boolean;
}

/** Turns batches into bytes and back. Synchronous; for one thread at a time, so make one in each worker. */
export interface Codec {
  /**
   * Encodes a batch, which may lie in shared memory but must not change meanwhile. The result is the caller's
   * own memory. Throws ARGUMENT_INVALID when the batch breaks the contract of PageBatch.
   */
  encode(batch: PageBatch): EncodedBatch;
  /**
   * Reads what any codec encoded, whatever this one's options. The result is the caller's own memory and
   * never more than about 5 MiB. Throws CODEC_DAMAGED, or CODEC_UNKNOWN for a method that is not there.
   */
  decode(bytes: Uint8Array, options?: DecodeOptions): PageBatch;
}
