import type { Compressor } from '@fitdoc/interface';

/** A compressor that can also lend its result, which spares a copy. */
export interface TransientCompressor extends Compressor {
  /** Like `compress`, but the result is valid only until the next call of any method. */
  compressTransiently(input: Uint8Array, level: number): Uint8Array;
}

/** Compresses without the copy where the compressor can: the result is valid until its next call. */
export function compressTransiently(compressor: Compressor, input: Uint8Array, level: number): Uint8Array {
  return 'compressTransiently' in compressor
    ? (compressor as TransientCompressor).compressTransiently(input, level)
    : compressor.compress(input, level);
}
