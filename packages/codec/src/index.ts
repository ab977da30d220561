export { createCodec } from './codec.js';
export { createLz4Compressor } from './compressors/lz4.js';
export { createNoneCompressor } from './compressors/none.js';
export { createZstdCompressor, nodeHasZstd } from './compressors/zstd.js';
export type { ZstdImplementation } from './compressors/zstd.js';
export type {
  Codec,
  CodecOptions,
  ColumnReport,
  DecodeOptions,
  EncodedBatch,
  ShuffleChoice,
} from './types.js';
