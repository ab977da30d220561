import type { Compressor } from '@fitdoc/interface';
import { damaged } from '../errors.js';
import { ownBytes } from '../own.js';

// What lz4-napi writes before the block: the raw length, u32 little-endian.
const SIZE_PREFIX = 4;

/**
 * LZ4 in its block format, through lz4-napi. The library's size prefix is cut off: the raw length stands in
 * the column's entry, and the library would allocate whatever a damaged prefix says. There are no levels.
 */
export async function createLz4Compressor(): Promise<Compressor> {
  const { default: lz4 } = await import('lz4-napi');
  return {
    specificationVersion: 'compressor-v1',
    name: 'lz4',
    compress(input) {
      const block = lz4.compressSync(Buffer.from(input.buffer, input.byteOffset, input.byteLength));
      return new Uint8Array(block.subarray(SIZE_PREFIX));
    },
    decompress(input, rawLength) {
      const prefixed = Buffer.allocUnsafe(SIZE_PREFIX + input.length);
      prefixed.writeUInt32LE(rawLength, 0);
      prefixed.set(input, SIZE_PREFIX);
      let raw: Uint8Array;
      try {
        raw = lz4.uncompressSync(prefixed);
      } catch (error) {
        throw damaged('an lz4 block cannot be read', error);
      }
      if (raw.length !== rawLength)
        throw damaged('an lz4 block holds another number of bytes than it should');
      return ownBytes(raw);
    },
  };
}
