import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import type { PageBatch } from '@fitdoc/interface';
import { isFitdocError } from '@fitdoc/interface';
import { describe, expect, it } from 'vitest';
import { createCodec } from '../src/index.js';
import { checkShape } from '../src/shape.js';
import { fullBatch, generator } from './batches.js';

// Milliseconds of fuzzing; FITDOC_FUZZ_MS=600000 for a long run.
const budget = Number(process.env.FITDOC_FUZZ_MS ?? 4000);
const cases = new URL('./fuzz-cases/', import.meta.url);
const SLOWEST_MS = 2000;

const codec = await createCodec();

/** Throws unless the bytes are refused properly, or decode to a proper batch, in reasonable time. */
function judge(bytes: Uint8Array): void {
  const start = performance.now();
  let batch: PageBatch | undefined;
  try {
    batch = codec.decode(bytes);
  } catch (error) {
    if (!isFitdocError(error, 'CODEC_DAMAGED') && !isFitdocError(error, 'CODEC_UNKNOWN')) throw error;
  }
  if (batch) {
    checkShape(batch);
    codec.encode(batch);
  }
  if (performance.now() - start > SLOWEST_MS) throw new Error('decoding took too long');
}

describe('the decoder, fuzzed', () => {
  it('judges all kept cases well', () => {
    for (const file of readdirSync(cases)) judge(readFileSync(new URL(file, cases)));
  });

  it(
    `stands ${budget} ms of mutations`,
    async () => {
      const seeds = await seedBatches();
      const seed = Date.now() >>> 0;
      const random = generator(seed);
      const end = performance.now() + budget;
      let runs = 0;
      for (; performance.now() < end; runs += 1) {
        const bytes = mutate(seeds[Math.floor(random() * seeds.length)] as Uint8Array, seeds, random);
        try {
          judge(bytes);
        } catch (error) {
          mkdirSync(cases, { recursive: true });
          const name = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
          writeFileSync(new URL(`${name}.bin`, cases), bytes);
          throw new Error(`seed ${seed}, kept as fuzz-cases/${name}.bin`, { cause: error });
        }
      }
      expect(runs).toBeGreaterThan(10);
    },
    budget * 4 + 30_000,
  );
});

async function seedBatches(): Promise<Uint8Array[]> {
  const codecs = await Promise.all(
    ['zstd', 'lz4', 'none'].flatMap((compressor) =>
      (['never', 'always'] as const).map((shuffle) => createCodec({ compressor, shuffle })),
    ),
  );
  return codecs.flatMap((writer) => [1, 4, 30].map((pages) => writer.encode(fullBatch(pages)).bytes));
}

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff];

function mutate(original: Uint8Array, seeds: readonly Uint8Array[], random: () => number): Uint8Array {
  let bytes = original.slice();
  const below = (limit: number): number => Math.floor(random() * limit);
  // Half of all changes hit the head, where the lengths are.
  const place = (): number => below(random() < 0.5 ? Math.min(120, bytes.length) : bytes.length);
  for (let changes = 1 + below(4); changes > 0 && bytes.length > 0; changes -= 1) {
    const at = place();
    const way = below(6);
    if (way === 0) bytes[at] = below(256);
    else if (way === 1) bytes[at] = (bytes[at] as number) ^ (1 << below(8));
    else if (way === 2) bytes[at] = INTERESTING[below(INTERESTING.length)] as number;
    else if (way === 3) bytes = bytes.slice(0, at);
    else if (way === 4) bytes.copyWithin(at, place(), place());
    else {
      const other = seeds[below(seeds.length)] as Uint8Array;
      bytes = Uint8Array.from(
        Buffer.concat([bytes.subarray(0, at), other.subarray(Math.min(at, other.length))]),
      );
    }
  }
  return bytes;
}
