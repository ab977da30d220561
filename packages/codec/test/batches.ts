import { KIND_WHOLE, KIND_WORDS, KIND_ZERO, MASK_SIZE, PAGE_SIZE, WORD_SIZE } from '@fitdoc/interface';
import type { PageBatch } from '@fitdoc/interface';
import fc from 'fast-check';
import { countMaskBits } from '../src/masks.js';

/** What a batch is made from: gaps between pages, their kinds, and a seed for all bytes. */
export interface Recipe {
  readonly pages: readonly { gap: number; kind: number; density: number; look: number }[];
  readonly firstGfn: number;
  readonly seed: number;
}

/** Builds a batch that keeps its contract. `look` picks page contents, so that equal pages are common. */
export function buildBatch(recipe: Recipe): PageBatch {
  const random = generator(recipe.seed);
  const pages = recipe.pages;
  const gfns = new Uint32Array(pages.length);
  let gfn = recipe.firstGfn;
  pages.forEach((page, index) => {
    gfn += index === 0 ? 0 : page.gap;
    gfns[index] = gfn;
  });
  const masks = pages.filter((page) => page.kind === KIND_WORDS).map((page) => maskOf(page.density, random));
  const maskBytes = concatenate(masks);
  const words = new Uint8Array(countMaskBits(maskBytes) * WORD_SIZE).map(() =>
    random() < 0.5 ? 0 : random() * 256,
  );
  const whole = pages.filter((page) => page.kind === KIND_WHOLE).map((page) => pageOf(page.look));
  const kinds = Uint8Array.from(pages, (page) => page.kind);
  return { gfns, kinds, masks: maskBytes, words, pages: concatenate(whole) };
}

export function anyBatch(maxPages = 60): fc.Arbitrary<PageBatch> {
  const page = fc.record({
    gap: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 1_000_000 })),
    kind: fc.constantFrom(KIND_ZERO, KIND_WHOLE, KIND_WORDS, KIND_WORDS),
    density: fc.constantFrom(0.002, 0.1, 1),
    look: fc.integer({ min: 0, max: 12 }),
  });
  return fc
    .record({
      pages: fc.array(page, { maxLength: maxPages, size: 'max' }),
      firstGfn: fc.integer({ min: 0, max: 2 ** 29 }),
      seed: fc.integer(),
    })
    .map(buildBatch);
}

/** Whether two batches are equal in every column. */
export function sameBatch(left: PageBatch, right: PageBatch): boolean {
  const columns = ['gfns', 'kinds', 'masks', 'words', 'pages'] as const;
  return columns.every(
    (name) =>
      left[name].length === right[name].length &&
      Buffer.compare(bytesOf(left[name]), bytesOf(right[name])) === 0,
  );
}

function bytesOf(column: Uint8Array | Uint32Array): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}

export function generator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function maskOf(density: number, random: () => number): Uint8Array {
  const mask = new Uint8Array(MASK_SIZE);
  for (let word = 0; word < 512; word += 1) {
    if (random() < density) mask[word >> 3] = (mask[word >> 3] as number) | (1 << (word & 7));
  }
  return mask;
}

function pageOf(look: number): Uint8Array {
  const random = generator(look + 1);
  return new Uint8Array(PAGE_SIZE).map((_, index) => (look % 3 === 0 ? index : random() * 256));
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** A batch of `count` pages in which every kind, runs, gaps and equal pages occur. */
export function fullBatch(count = 1024): PageBatch {
  const random = generator(count);
  const pages = Array.from({ length: count }, (_, index) => ({
    gap: index % 10 === 0 ? 5 : 1,
    kind: [KIND_WORDS, KIND_WHOLE, KIND_WORDS, KIND_ZERO][Math.floor(random() * 4)] as number,
    density: random(),
    look: index % 17,
  }));
  return buildBatch({ pages, firstGfn: 77, seed: 5 });
}
