import fc from 'fast-check';

type Pattern = 'empty' | 'full' | 'sparse' | 'dense' | 'alternating' | 'clustered';

interface Segment {
  readonly pattern: Pattern;
  readonly pages: number;
  readonly seed: number;
}

const segment: fc.Arbitrary<Segment> = fc.record({
  pattern: fc.constantFrom<Pattern>('empty', 'full', 'sparse', 'dense', 'alternating', 'clustered'),
  // Around words, blocks, and several blocks.
  pages: fc.oneof(
    fc.integer({ min: 1, max: 130 }),
    fc.constantFrom(64, 4096, 8192),
    fc.integer({ min: 1, max: 20_000 }),
  ),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
});

/** A bitmap put together from stretches of all distributions, with garbage behind its last page. */
export interface SampleBitmap {
  readonly pages: number;
  readonly bytes: Uint8Array;
}

export const sampleBitmap: fc.Arbitrary<SampleBitmap> = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 8 }), fc.boolean())
  .map(([segments, garbage]) => build(segments, garbage));

function build(segments: readonly Segment[], garbage: boolean): SampleBitmap {
  const pages = segments.reduce((sum, { pages: count }) => sum + count, 0);
  const bytes = new Uint8Array(Math.ceil(pages / 64) * 8);
  const set = (page: number): void => {
    bytes[page >>> 3] = (bytes[page >>> 3] as number) | (1 << (page & 7));
  };
  let start = 0;
  for (const part of segments) {
    const dirty = generator(part);
    for (let i = 0; i < part.pages; i++) if (dirty(i)) set(start + i);
    start += part.pages;
  }
  if (garbage) for (let page = pages; page < bytes.length * 8; page++) set(page);
  return { pages, bytes };
}

function generator({ pattern, seed }: Segment): (index: number) => boolean {
  let state = seed;
  const random = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  switch (pattern) {
    case 'empty':
      return () => false;
    case 'full':
      return () => true;
    case 'sparse':
      return () => random() < 0.01;
    case 'dense':
      return () => random() < 0.5;
    case 'alternating':
      return (index) => index % 2 === 0;
    case 'clustered': {
      let dirty = false;
      return () => (dirty = random() < 0.03 ? !dirty : dirty);
    }
  }
}
