import { compressorSuite } from '@fitdoc/compliance/compressor';
import { describe, it } from 'vitest';
import {
  createLz4Compressor,
  createNoneCompressor,
  createZstdCompressor,
  nodeHasZstd,
} from '../src/index.js';

const runner = { describe, it };

compressorSuite(runner, { name: 'none', createCompressor: createNoneCompressor });
compressorSuite(runner, { name: 'lz4', createCompressor: createLz4Compressor });
compressorSuite(runner, { name: 'zstd (WebAssembly)', createCompressor: () => createZstdCompressor('wasm') });

describe.skipIf(!nodeHasZstd())(
  `zstd of Node ${process.version}${nodeHasZstd() ? '' : ': it has none'}`,
  () => {
    compressorSuite(runner, { name: 'zstd (Node)', createCompressor: () => createZstdCompressor('node') });
  },
);
