import { PAGE_SIZE } from '@fitdoc/interface';
import type { PageBatch } from '@fitdoc/interface';
import { describe, expect, it } from 'vitest';
import { createCodec } from '../src/index.js';
import { checkShape } from '../src/shape.js';
import { buildBatch } from './batches.js';
import { errorCode } from './errors.js';
import { column, forge } from './forge.js';

const small = buildBatch({
  pages: [
    { gap: 1, kind: 3, density: 0.1, look: 0 },
    { gap: 1, kind: 1, density: 0, look: 0 },
    { gap: 9, kind: 2, density: 0, look: 3 },
    { gap: 1, kind: 2, density: 0, look: 3 },
    { gap: 1, kind: 3, density: 0.3, look: 0 },
  ],
  firstGfn: 40_000,
  seed: 3,
});

describe.each(['zstd', 'lz4', 'none'])('a batch stored with %s', (compressor) => {
  it('is refused at every truncation, and with anything behind it', async () => {
    const codec = await createCodec({ compressor });
    const { bytes } = codec.encode(small);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(errorCode(() => codec.decode(bytes.subarray(0, length)))).toMatch(/^CODEC_(DAMAGED|UNKNOWN)$/);
    }
    expect(errorCode(() => codec.decode(Uint8Array.from([...bytes, 0])))).toBe('CODEC_DAMAGED');
  });

  it('is refused or still a proper batch with any byte flipped', async () => {
    const codec = await createCodec({ compressor });
    const { bytes } = codec.encode(small);
    let refused = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = bytes.slice();
        damaged[at] = (damaged[at] as number) ^ flip;
        let batch: PageBatch | undefined;
        const code = errorCode(() => (batch = codec.decode(damaged)));
        if (code !== undefined) {
          expect(code).toMatch(/^CODEC_(DAMAGED|UNKNOWN)$/);
          refused += 1;
        } else if (batch) {
          checkShape(batch);
        }
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});

describe('a forged batch', () => {
  const zeros = (length: number): Uint8Array => new Uint8Array(length);
  const onePage = [column('gfns', Uint8Array.of(0, 0))];
  const forgeries: Record<string, Uint8Array> = {
    'foreign bytes': new TextEncoder().encode('this is no batch at all'),
    'too many pages': forge(1025, []),
    'no columns for its pages': forge(1, []),
    'kinds missing': forge(1, onePage),
    'an unknown column': forge(0, [{ ...column('copies', zeros(2)), id: 8 }]),
    'column zero': forge(0, [{ ...column('copies', zeros(2)), id: 0 }]),
    'a column twice': forge(1, [
      ...onePage,
      column('kinds', Uint8Array.of(1)),
      column('kinds', Uint8Array.of(1)),
    ]),
    'columns out of order': forge(1, [column('kinds', Uint8Array.of(1)), ...onePage]),
    'an empty column': forge(1, [...onePage, column('kinds', Uint8Array.of(1)), column('masks', zeros(0))]),
    'an unknown kind': forge(1, [...onePage, column('kinds', Uint8Array.of(4))]),
    'an unchanged page': forge(1, [...onePage, column('kinds', Uint8Array.of(0))]),
    'masks without words pages': forge(1, [
      ...onePage,
      column('kinds', Uint8Array.of(1)),
      column('masks', zeros(64)),
    ]),
    'words missing': forge(1, [
      ...onePage,
      column('kinds', Uint8Array.of(3)),
      column('masks', zeros(64).fill(1, 0, 1)),
    ]),
    'spare bits set': forge(1, [
      ...onePage,
      column('kinds', Uint8Array.of(3)),
      column('masks', zeros(64).fill(1, 0, 1)),
      column('nonzero', Uint8Array.of(3)),
      column('words', zeros(16).fill(1)),
    ]),
    'whole pages missing': forge(1, [...onePage, column('kinds', Uint8Array.of(2))]),
    'half a whole page': forge(1, [
      ...onePage,
      column('kinds', Uint8Array.of(2)),
      column('pages', zeros(2048)),
    ]),
    'copies of nothing': forge(1, [
      ...onePage,
      column('kinds', Uint8Array.of(2)),
      column('pages', zeros(PAGE_SIZE)),
      column('copies', zeros(2)),
    ]),
    'a shuffled mask': forge(1, [
      ...onePage,
      column('kinds', Uint8Array.of(3)),
      { ...column('masks', zeros(64)), transform: 1 },
    ]),
    'an unknown transform': forge(1, [...onePage, { ...column('kinds', Uint8Array.of(1)), transform: 2 }]),
    'an unknown method': forge(1, [...onePage, { ...column('kinds', Uint8Array.of(1)), method: 2 }]),
    'a reserved byte set': forge(1, [...onePage, { ...column('kinds', Uint8Array.of(1)), reserved: 1 }]),
    'a name that is none': forge(1, onePage, 'Zstd!'),
    'a compressed column that grew': forge(1, [
      ...onePage,
      { ...column('kinds', zeros(20)), rawLength: 1, method: 1 },
    ]),
  };

  it.each(Object.keys(forgeries))('is refused: %s', async (name) => {
    const codec = await createCodec();
    expect(errorCode(() => codec.decode(forgeries[name] as Uint8Array))).toBe('CODEC_DAMAGED');
  });

  it('cannot make the reader allocate what it claims', async () => {
    const codec = await createCodec();
    const compressed = { method: 1, rawLength: 0xffff_ffff };
    const bombs = ['gfns', 'kinds', 'masks', 'nonzero', 'words', 'pages', 'copies'].map((name) =>
      forge(1, [{ ...column(name as 'gfns', zeros(40)), ...compressed }]),
    );
    bombs.push(forge(1, [...onePage, { ...column('kinds', zeros(40)), ...compressed }]));
    const before = process.memoryUsage().rss;
    for (const bomb of bombs) expect(errorCode(() => codec.decode(bomb))).toBe('CODEC_DAMAGED');
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20);
  });

  it.each(['zstd', 'lz4'])('cannot make %s allocate more than the column may have', async (compressor) => {
    const codec = await createCodec({ compressor });
    const { createZstdCompressor, createLz4Compressor } = await import('../src/index.js');
    const method = compressor === 'zstd' ? await createZstdCompressor() : await createLz4Compressor();
    const bomb = method.compress(zeros(256 * 2 ** 20), 1).subarray(0, 2 ** 21);
    const pages = { ...column('pages', bomb), method: 1, rawLength: 1024 * PAGE_SIZE };
    const full = forge(
      1024,
      [column('gfns', Uint8Array.of(0, 0xff, 0x07)), column('kinds', zeros(1024).fill(2)), pages],
      compressor,
    );
    const before = process.memoryUsage().rss;
    expect(errorCode(() => codec.decode(full))).toBe('CODEC_DAMAGED');
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
  });

  it('with a compressor that is not there is CODEC_UNKNOWN', async () => {
    const codec = await createCodec();
    expect(errorCode(() => codec.decode(forge(1, onePage, 'brotli')))).toBe('CODEC_UNKNOWN');
  });
});
