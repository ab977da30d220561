import type { Names } from '../names.js';
import { readme } from './store.js';

export function compressorFiles({ name, packageName, typeName }: Names): Record<string, string> {
  return {
    'src/index.ts': `export { createCompressor } from './compressor.js';
`,
    'src/compressor.ts': `import { FitdocError, type Compressor } from '@fitdoc/interface';

/** A compressor for the columns of a batch; stored batches name it \`${name}\`. */
export function createCompressor(): Compressor {
  return {
    specificationVersion: 'compressor-v1',
    name: '${name}',
    compress(input, level) {
      throw missing(\`compress \${input.length} bytes at level \${level}\`);
    },
    decompress(input, rawLength) {
      throw missing(\`decompress \${input.length} bytes to \${rawLength}\`);
    },
  };
}

function missing(what: string): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', \`${packageName} cannot \${what} yet.\`, {
    hint: 'Implement src/compressor.ts until the suite in test/suite.test.ts passes.',
  });
}
`,
    'test/suite.test.ts': `import { compressorSuite } from '@fitdoc/compliance/compressor';
import { describe, it } from 'vitest';
import { createCompressor } from '../src/index.js';

compressorSuite({ describe, it }, { name: '${name}', createCompressor, levels: [1, 3] });
`,
    'README.md': readme(
      packageName,
      `A compressor for fitdoc's codec: ${typeName}.`,
      `import { createCompressor } from '${packageName}';

const compressor = createCompressor();
const input = new Uint8Array(4096).fill(7);
const stored = compressor.compress(input, 3);
const restored = compressor.decompress(stored, input.length);
if (Buffer.compare(restored, input) !== 0) throw new Error('not what was stored');
console.log(compressor.name, stored.length);`,
    ),
  };
}
