import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DirtyBitmap } from '../src/index.js';
import { sampleBitmap } from './arbitrary.js';
import { twinPages } from './twin.js';

const refusal = expect.objectContaining({ code: 'ARGUMENT_INVALID' }) as Error;

type Step =
  | { readonly kind: 'set' | 'clear'; readonly at: number }
  | { readonly kind: 'setRun' | 'clearRun'; readonly at: number; readonly length: number }
  | { readonly kind: 'or' | 'andNot'; readonly runs: readonly [number, number][] }
  | { readonly kind: 'clearAll' };

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('set' as const, 'clear' as const), at: fraction }),
  fc.record({
    kind: fc.constantFrom('setRun' as const, 'clearRun' as const),
    at: fraction,
    length: fraction,
  }),
  fc.record({
    kind: fc.constantFrom('or' as const, 'andNot' as const),
    runs: fc.array(fc.tuple(fraction, fraction), { maxLength: 5 }),
  }),
  { weight: 1, arbitrary: fc.constant({ kind: 'clearAll' as const }) },
);

function span(at: number, length: number, pages: number): [number, number] {
  const start = Math.floor(at * pages);
  return [start, Math.floor(length * (pages - start))];
}

function apply(bitmap: DirtyBitmap, model: boolean[], action: Step): void {
  const { pages } = bitmap;
  switch (action.kind) {
    case 'set':
    case 'clear': {
      const gfn = Math.min(pages - 1, Math.floor(action.at * pages));
      bitmap[action.kind](gfn);
      model[gfn] = action.kind === 'set';
      return;
    }
    case 'setRun':
    case 'clearRun': {
      const [start, count] = span(action.at, action.length, pages);
      bitmap[action.kind](start, count);
      model.fill(action.kind === 'setRun', start, start + count);
      return;
    }
    case 'or':
    case 'andNot': {
      const other = new DirtyBitmap(pages);
      for (const [at, length] of action.runs) {
        const [start, count] = span(at, length, pages);
        other.setRun(start, count);
        model.fill(action.kind === 'or', start, start + count);
      }
      bitmap[action.kind](other);
      return;
    }
    case 'clearAll':
      bitmap.clearAll();
      model.fill(false);
  }
}

test('behaves like an array of booleans', () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 70_000 }));
  fc.assert(
    fc.property(size, fc.array(step, { maxLength: 12 }), (pages, steps) => {
      const bitmap = new DirtyBitmap(pages);
      const model = new Array<boolean>(pages).fill(false);
      for (const action of steps) apply(bitmap, model, action);
      expect(bitmap.count()).toBe(model.filter(Boolean).length);
      const expected = model.flatMap((dirty, gfn) => (dirty ? [gfn] : []));
      expect(Array.from(bitmap.gfns())).toEqual(expected);
      const fromRuns = Array.from(bitmap.runs()).flatMap(({ start, count }) =>
        Array.from({ length: count }, (_, i) => start + i),
      );
      expect(fromRuns).toEqual(expected);
      for (const gfn of [0, pages >> 1, pages - 1]) expect(bitmap.test(gfn)).toBe(model[gfn]);
    }),
    { numRuns: 120 },
  );
});

describe('bytes', () => {
  test('are little-endian 64-bit words, one bit a page', () => {
    const bitmap = new DirtyBitmap(130);
    expect(bitmap.bytes.length).toBe(24);
    for (const gfn of [0, 9, 64, 129]) bitmap.set(gfn);
    const words = new DataView(bitmap.bytes.buffer, bitmap.bytes.byteOffset, 24);
    expect([0, 8, 16].map((offset) => words.getBigUint64(offset, true))).toEqual([
      0b10_0000_0001n,
      1n,
      0b10n,
    ]);
  });

  test('handed in count, except those behind the last page', () => {
    fc.assert(
      fc.property(sampleBitmap, ({ pages, bytes }) => {
        const expected = twinPages(bytes, pages, 0, Infinity).found;
        // KVM hands out whole words, Xen whole bytes, others more than enough.
        for (const handed of [
          bytes,
          bytes.subarray(0, Math.ceil(pages / 8)),
          new Uint8Array([...bytes, 255]),
        ]) {
          const bitmap = new DirtyBitmap(pages, handed);
          expect(bitmap.count()).toBe(expected.length);
          expect(Array.from(bitmap.gfns())).toEqual(expected);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('written in place count, except those behind the last page, also when merged', () => {
    const bitmap = new DirtyBitmap(70);
    bitmap.bytes.fill(0xff);
    expect(bitmap.count()).toBe(70);
    bitmap.bytes.fill(0xff);
    expect([...bitmap.runs()]).toEqual([{ start: 0, count: 70 }]);
    const other = new DirtyBitmap(70);
    other.set(3);
    bitmap.bytes.fill(0xff);
    other.or(bitmap);
    expect(other.count()).toBe(70);
    other.andNot(bitmap);
    expect(other.count()).toBe(0);
  });

  test('replace what was there when loaded', () => {
    const bitmap = new DirtyBitmap(100, new Uint8Array(16).fill(0xff));
    bitmap.load(new Uint8Array(13).fill(1));
    expect([...bitmap.gfns()]).toEqual(Array.from({ length: 13 }, (_, i) => 8 * i));
  });

  test('are the bitmap itself: a copy of what was handed in, a view of what is there', () => {
    const bytes = new Uint8Array(8);
    const bitmap = new DirtyBitmap(64, bytes);
    bytes[0] = 1;
    expect(bitmap.test(0)).toBe(false);
    bitmap.bytes[0] = 2;
    expect(bitmap.test(1)).toBe(true);
  });
});

describe('refuses', () => {
  test.each([0, -1, 0.5, NaN, 2 ** 30 + 1])('%d pages', (pages) => {
    expect(() => new DirtyBitmap(pages)).toThrow(refusal);
  });

  test('bytes that are too few', () => {
    expect(() => new DirtyBitmap(65, new Uint8Array(8))).toThrow(refusal);
  });

  test.each([-1, 100, 0.5, NaN])('page %d of 100', (gfn) => {
    const bitmap = new DirtyBitmap(100);
    for (const method of ['set', 'clear', 'test'] as const)
      expect(() => bitmap[method](gfn)).toThrow(refusal);
    expect(() => bitmap.setRun(gfn, 1)).toThrow(refusal);
  });

  test('a run that reaches past the end, or is negative', () => {
    const bitmap = new DirtyBitmap(100);
    expect(() => bitmap.setRun(90, 11)).toThrow(refusal);
    expect(() => bitmap.clearRun(90, -1)).toThrow(refusal);
    expect(bitmap.count()).toBe(0);
  });

  test('to be combined with a bitmap of another size', () => {
    const bitmap = new DirtyBitmap(100);
    expect(() => bitmap.or(new DirtyBitmap(101))).toThrow(refusal);
    expect(() => bitmap.andNot(new DirtyBitmap(64))).toThrow(refusal);
  });
});
