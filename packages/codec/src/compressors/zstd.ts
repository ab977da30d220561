import * as zlib from 'node:zlib';
import type { Compressor } from '@fitdoc/interface';
import { damaged } from '../errors.js';
import { ownBytes } from '../own.js';
import type { TransientCompressor } from './transient.js';
import { WasmZstd } from './zstd-wasm.js';

const LOWEST_LEVEL = 1;
const HIGHEST_LEVEL = 19;
// The largest window a reader accepts: a column has at most 4 MiB, whatever a frame's header claims.
const WINDOW_LOG_MAX = 23;

/** The two calls that an implementation of zstd must have; results may be overwritten by the next. Both may throw. */
interface ZstdBinding {
  compress(input: Uint8Array, level: number): Uint8Array;
  decompress(input: Uint8Array, rawLength: number): Uint8Array;
}

/** Which implementation of zstd to use; both write standard frames that the other reads. */
export type ZstdImplementation = 'node' | 'wasm';

/** Whether this Node has zstd built in (22.15 and later, 23.8 and later). */
export function nodeHasZstd(): boolean {
  return 'zstdCompressSync' in zlib;
}

/**
 * zstd at levels 1 to 19, one frame a column. Default: Node's own where it has it, else WebAssembly.
 */
export async function createZstdCompressor(
  implementation: ZstdImplementation = nodeHasZstd() ? 'node' : 'wasm',
): Promise<Compressor> {
  const binding = implementation === 'node' ? nodeBinding() : await wasmBinding();
  const compressTransiently = (input: Uint8Array, level: number): Uint8Array =>
    binding.compress(input, Math.min(HIGHEST_LEVEL, Math.max(LOWEST_LEVEL, Math.round(level))));
  const decompressTransiently = (input: Uint8Array, rawLength: number): Uint8Array => {
    let raw: Uint8Array;
    try {
      raw = binding.decompress(input, rawLength);
    } catch (error) {
      throw damaged('a zstd frame cannot be read', error);
    }
    if (raw.length !== rawLength) throw damaged('a zstd frame holds another number of bytes than it should');
    return raw;
  };
  const compressor: TransientCompressor = {
    specificationVersion: 'compressor-v1',
    name: 'zstd',
    compressTransiently,
    compress: (input, level) => ownBytes(compressTransiently(input, level)),
    decompressTransiently,
    decompress: (input, rawLength) => ownBytes(decompressTransiently(input, rawLength)),
  };
  return compressor;
}

/** The part of Node's zlib that is younger than the oldest Node which fitdoc runs on. */
interface NodeZstd {
  zstdCompressSync: (input: Uint8Array, options: object) => Uint8Array;
  zstdDecompressSync: (input: Uint8Array, options: object) => Uint8Array;
  constants: { ZSTD_c_compressionLevel: number; ZSTD_d_windowLogMax: number };
}

function nodeBinding(): ZstdBinding {
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as NodeZstd;
  return {
    compress: (input, level) =>
      zstdCompressSync(input, {
        chunkSize: worstSize(input.length),
        params: { [constants.ZSTD_c_compressionLevel]: level },
      }),
    decompress: (input, rawLength) =>
      zstdDecompressSync(input, {
        chunkSize: Math.max(64, rawLength),
        maxOutputLength: Math.max(1, rawLength),
        params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
      }),
  };
}

async function wasmBinding(): Promise<ZstdBinding> {
  const zstd = await WasmZstd.load();
  return {
    compress: (input, level) => zstd.compressTransiently(input, level),
    decompress: (input, rawLength) => zstd.decompressTransiently(input, rawLength),
  };
}

// zstd's own bound for incompressible input, so that one chunk holds the result.
function worstSize(length: number): number {
  return length + (length >> 7) + 1024;
}
