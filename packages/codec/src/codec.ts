import { CompressorRegistry } from './compressors/registry.js';
import { decodeBatch } from './decode.js';
import { encodeBatch } from './encode.js';
import { Scratch } from './scratch.js';
import type { Codec, CodecOptions } from './types.js';

// Whole pages take the most time of all columns and gain the least from a level.
const DEFAULT_LEVEL = 3;
const DEFAULT_PAGES_LEVEL = 2;

/**
 * Makes a codec, loading its compression methods once. Throws CODEC_UNKNOWN when there is no method of the
 * name in `options.compressor`.
 */
export async function createCodec(options: CodecOptions = {}): Promise<Codec> {
  const compressors = await CompressorRegistry.load(options.compressors ?? []);
  const settings = {
    compressor: compressors.get(options.compressor ?? 'zstd'),
    level: options.level ?? DEFAULT_LEVEL,
    pagesLevel: options.level ?? DEFAULT_PAGES_LEVEL,
    shuffle: options.shuffle ?? 'auto',
    scratch: new Scratch(),
  };
  return {
    encode: (batch) => encodeBatch(batch, settings),
    decode: (bytes, { transient = false } = {}) => decodeBatch(bytes, compressors, transient),
  };
}
