import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCodec } from '../src/index.js';
import { anyBatch, sameBatch } from './batches.js';

describe.each(['zstd', 'lz4', 'none'])('a codec with %s', (compressor) => {
  it('decodes what it encoded', async () => {
    const codec = await createCodec({ compressor });
    fc.assert(
      fc.property(anyBatch(), (batch) => {
        const encoded = codec.encode(batch);
        expect(sameBatch(codec.decode(encoded.bytes), batch)).toBe(true);
        expect(encoded.pages).toBe(batch.gfns.length);
      }),
      { numRuns: 200 },
    );
  });
});
