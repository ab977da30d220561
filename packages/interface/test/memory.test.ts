import { expect, it } from 'vitest';
import { regionOf, totalPages, type MemoryRegion } from '../src/index.js';

const regions: MemoryRegion[] = [
  { name: 'ram', firstGfn: 0, pages: 10, kind: 'ram' },
  { name: 'rom', firstGfn: 10, pages: 2, kind: 'rom' },
];

it('counts pages through all regions', () => {
  expect(totalPages(regions)).toBe(12);
  expect(totalPages([])).toBe(0);
  expect([0, 9, 10, 11, 12].map((gfn) => regionOf(regions, gfn)?.name)).toEqual([
    'ram',
    'ram',
    'rom',
    'rom',
    undefined,
  ]);
});
