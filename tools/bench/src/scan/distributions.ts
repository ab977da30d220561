import type { DirtyBitmap } from '@fitdoc/bitmap';

export interface Distribution {
  readonly name: string;
  /** Whether the scan has to take at most 5 % of the time of a test per page. */
  readonly easy: boolean;
  /** Fills a bitmap, differently for each seed from 1 on. */
  fill(bitmap: DirtyBitmap, seed: number): void;
}

export const distributions: readonly Distribution[] = [
  { name: '0 %', easy: true, fill: (bitmap) => bitmap.clearAll() },
  { name: '0.1 % scattered', easy: true, fill: (bitmap, seed) => fillRuns(bitmap, seed, 0.001, 1) },
  { name: '1 % scattered', easy: true, fill: (bitmap, seed) => fillRuns(bitmap, seed, 0.01, 1) },
  { name: '1 % in runs of 16', easy: true, fill: (bitmap, seed) => fillRuns(bitmap, seed, 0.01, 16) },
  { name: '10 % in runs of 32', easy: true, fill: (bitmap, seed) => fillRuns(bitmap, seed, 0.1, 32) },
  { name: '50 % scattered', easy: false, fill: (bitmap, seed) => fillRuns(bitmap, seed, 0.5, 1) },
  { name: '100 %', easy: true, fill: (bitmap) => bitmap.setRun(0, bitmap.pages) },
];

/**
 * Makes `share` of the pages dirty: each page by chance when `length` is 1, else runs of `length` that start
 * anywhere and do not touch. The same on every machine.
 */
function fillRuns(bitmap: DirtyBitmap, seed: number, share: number, length: number): void {
  bitmap.clearAll();
  const random = generator(0x2545f491 + seed);
  const least = length === 1 ? 0 : 1;
  const chance = length === 1 ? share : share / (length * (1 - share));
  let page = 0;
  for (;;) {
    page += least + Math.floor(Math.log(1 - random()) / Math.log(1 - chance));
    if (page >= bitmap.pages) return;
    bitmap.setRun(page, Math.min(length, bitmap.pages - page));
    page += length;
  }
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
