import type { Compressor } from '@fitdoc/interface';

/** A compressor that can also lend its results, which spares a copy. They are valid only until the next call of any method. */
export interface TransientCompressor extends Compressor {
  /** Like `compress`. */
  compressTransiently(input: Uint8Array, level: number): Uint8Array;
  /** Like `decompress`. */
  decompressTransiently(input: Uint8Array, rawLength: number): Uint8Array;
}

/** Compresses without the copy where the compressor can: the result is valid until its next call. */
export function compressTransiently(compressor: Compressor, input: Uint8Array, level: number): Uint8Array {
  return 'compressTransiently' in compressor
    ? (compressor as TransientCompressor).compressTransiently(input, level)
    : compressor.compress(input, level);
}

/** Decompresses without the copy where the compressor can: the result is valid until its next call. */
export function decompressTransiently(
  compressor: Compressor,
  input: Uint8Array,
  rawLength: number,
): Uint8Array {
  return 'decompressTransiently' in compressor
    ? (compressor as TransientCompressor).decompressTransiently(input, rawLength)
    : compressor.decompress(input, rawLength);
}
