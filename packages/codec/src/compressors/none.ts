import type { Compressor } from '@fitdoc/interface';
import { damaged } from '../errors.js';

/** Stores bytes as they are. */
export function createNoneCompressor(): Compressor {
  return {
    specificationVersion: 'compressor-v1',
    name: 'none',
    compress: (input) => new Uint8Array(input),
    decompress(input, rawLength) {
      if (input.length !== rawLength)
        throw damaged('a column stored plain has another length than its raw bytes');
      return new Uint8Array(input);
    },
  };
}
