import { KIND_UNCHANGED, KIND_WHOLE, MAX_PAGES, PAGE_SIZE } from '@fitdoc/interface';
import type { Compressor, PageBatch } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCodec, createNoneCompressor } from '../src/index.js';
import { anyBatch, buildBatch, fullBatch, sameBatch } from './batches.js';
import { errorCode } from './errors.js';

const ways = ['zstd', 'lz4', 'none'].flatMap((compressor) =>
  (['auto', 'never', 'always'] as const).map((shuffle) => ({ compressor, shuffle })),
);

describe.each(ways)('a codec with $compressor, shuffle $shuffle', (options) => {
  it('decodes what it encoded', async () => {
    const codec = await createCodec(options);
    fc.assert(
      fc.property(anyBatch(), (batch) => {
        const encoded = codec.encode(batch);
        expect(sameBatch(codec.decode(encoded.bytes), batch)).toBe(true);
        expect(sameBatch(codec.decode(encoded.bytes, { transient: true }), batch)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('takes the largest batch, and an empty one', async () => {
    const codec = await createCodec(options);
    for (const batch of [fullBatch(), buildBatch({ pages: [], firstGfn: 0, seed: 1 })]) {
      const { bytes } = codec.encode(batch);
      for (const transient of [false, true])
        expect(sameBatch(codec.decode(bytes, { transient }), batch)).toBe(true);
    }
  });
});

describe('a codec', () => {
  it('reads what others wrote, whatever its own compressor', async () => {
    const batch = fullBatch();
    const codecs = await Promise.all(
      ['zstd', 'lz4', 'none'].map((compressor) => createCodec({ compressor })),
    );
    for (const writer of codecs) {
      const { bytes } = writer.encode(batch);
      for (const reader of codecs)
        for (const transient of [false, true])
          expect(sameBatch(reader.decode(bytes, { transient }), batch)).toBe(true);
    }
  });

  it('reads from shared memory and at odd offsets, and hands out memory of its own', async () => {
    for (const compressor of ['zstd', 'lz4', 'none']) {
      const codec = await createCodec({ compressor });
      const batch = fullBatch(64);
      const shared: PageBatch = {
        gfns: batch.gfns,
        kinds: inSharedMemory(batch.kinds),
        masks: inSharedMemory(batch.masks),
        words: inSharedMemory(batch.words),
        pages: inSharedMemory(batch.pages),
      };
      const { bytes } = codec.encode(shared);
      expect(bytes.buffer).toBeInstanceOf(ArrayBuffer);
      const stored = inSharedMemory(bytes);
      const decoded = codec.decode(stored);
      stored.fill(0);
      for (const column of [decoded.kinds, decoded.masks, decoded.words, decoded.pages]) {
        expect(Object.getPrototypeOf(column)).toBe(Uint8Array.prototype);
        expect(column.byteLength).toBe(column.buffer.byteLength);
      }
      expect(sameBatch(decoded, batch)).toBe(true);
    }
  });

  it('copies out of a Buffer too', async () => {
    const codec = await createCodec({ compressor: 'none' });
    const batch = fullBatch(16);
    const stored = Buffer.from(codec.encode(batch).bytes);
    const decoded = codec.decode(stored);
    stored.fill(0);
    expect(sameBatch(decoded, batch)).toBe(true);
  });

  it('reports what the batch holds and what each column takes', async () => {
    const codec = await createCodec();
    const batch = fullBatch(100);
    const encoded = codec.encode(batch);
    expect(encoded).toMatchObject({
      pages: 100,
      rawBytes: 100 * PAGE_SIZE,
      changedWords: batch.words.length / 8,
      wholePages: batch.pages.length / PAGE_SIZE,
      zeroPages: batch.kinds.filter((kind) => kind === 1).length,
    });
    const stored = encoded.columns.reduce((sum, column) => sum + column.storedBytes, 0);
    expect(encoded.bytes.length).toBe(8 + 'zstd'.length + 12 * encoded.columns.length + stored);
  });

  it('stores equal whole pages once', async () => {
    const codec = await createCodec({ compressor: 'none' });
    const page = { gap: 1, kind: KIND_WHOLE, density: 0, look: 1 };
    const encoded = codec.encode(buildBatch({ pages: Array(50).fill(page) as never, firstGfn: 9, seed: 1 }));
    expect(encoded.columns.find((column) => column.name === 'pages')?.rawBytes).toBe(PAGE_SIZE);
    expect(encoded.bytes.length).toBeLessThan(PAGE_SIZE + 400);
  });

  it('takes a compressor from outside, and says when one is missing', async () => {
    const rot = { ...createNoneCompressor(), name: 'half-words' } satisfies Compressor;
    const halving: Compressor = {
      ...rot,
      compress: (input) => input.filter((_, index) => index % 2 === 0),
      decompress: (input, rawLength) => new Uint8Array(rawLength).map((_, index) => input[index >> 1] ?? 0),
    };
    const batch = buildBatch({ pages: [], firstGfn: 0, seed: 1 });
    const twins: PageBatch = { ...batch, gfns: Uint32Array.of(0, 2), kinds: Uint8Array.of(1, 1) };
    const codec = await createCodec({ compressor: 'half-words', compressors: [halving] });
    const encoded = codec.encode(twins);
    expect(encoded.columns.find((column) => column.name === 'kinds')?.compressor).toBe('half-words');
    expect(codec.decode(encoded.bytes).kinds).toEqual(twins.kinds);
    const plain = await createCodec();
    expect(errorCode(() => plain.decode(encoded.bytes))).toBe('CODEC_UNKNOWN');
    await expect(createCodec({ compressor: 'half-words' })).rejects.toMatchObject({ code: 'CODEC_UNKNOWN' });
    await expect(createCodec({ compressors: [{ ...rot, name: 'No Name' }] })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });
});

describe('encode', () => {
  const good = fullBatch(20);
  const bad: Record<string, PageBatch> = {
    'a kind too few': { ...good, kinds: good.kinds.subarray(1) },
    'an unchanged page': {
      ...good,
      kinds: good.kinds.map((kind, page) => (page === 3 ? KIND_UNCHANGED : kind)),
    },
    'a kind that is none': { ...good, kinds: good.kinds.map((kind, page) => (page === 3 ? 9 : kind)) },
    'a mask too few': { ...good, masks: good.masks.subarray(64) },
    'a word too few': { ...good, words: good.words.subarray(8) },
    'half a page': { ...good, pages: good.pages.subarray(2048) },
    'pages out of order': { ...good, gfns: good.gfns.slice().reverse() },
    'a page twice': {
      ...good,
      gfns: good.gfns.map((gfn, page) => (page === 1 ? (good.gfns[0] as number) : gfn)),
    },
    'a page beyond the last': {
      ...good,
      gfns: good.gfns.map((gfn, page) => (page === 19 ? MAX_PAGES : gfn)),
    },
    'too many pages': {
      ...good,
      gfns: Uint32Array.from({ length: 1025 }, (_, gfn) => gfn),
      kinds: new Uint8Array(1025).fill(1),
    },
  };

  it.each(Object.keys(bad))('refuses %s', async (name) => {
    const codec = await createCodec();
    expect(errorCode(() => codec.encode(bad[name] as PageBatch))).toBe('ARGUMENT_INVALID');
  });
});

function inSharedMemory(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 3), 3);
  shared.set(bytes);
  return shared;
}
