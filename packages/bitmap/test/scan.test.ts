import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DirtyBitmap, scanPages, scanRuns, type ScanResult } from '../src/index.js';
import { sampleBitmap, type SampleBitmap } from './arbitrary.js';
import { twinPages, twinRuns, type TwinResult } from './twin.js';

const UNTOUCHED = 0xdeadbeef;

interface ScanWay {
  readonly name: string;
  readonly width: number;
  readonly scan: (bitmap: DirtyBitmap, out: Uint32Array, from?: number) => ScanResult;
  readonly twin: (bytes: Uint8Array, pages: number, from: number, limit: number) => TwinResult;
}

const ways: readonly ScanWay[] = [
  { name: 'scanRuns', width: 2, scan: scanRuns, twin: twinRuns },
  { name: 'scanPages', width: 1, scan: scanPages, twin: twinPages },
];

/** One call finds what the twin finds and goes no further; returns where it stopped. */
function compareOnce(way: ScanWay, bitmap: DirtyBitmap, from: number, room: number): number {
  const out = new Uint32Array(room * way.width).fill(UNTOUCHED);
  const { written, next } = way.scan(bitmap, out, from);
  const expected = way.twin(bitmap.bytes, bitmap.pages, from, room);
  expect(Array.from(out.subarray(0, written * way.width))).toEqual(expected.found);
  expect(out.subarray(written * way.width).every((entry) => entry === UNTOUCHED)).toBe(true);
  // A scan may stop anywhere before the next dirty page, and has to stop at the end if there is none.
  expect(next).toBeLessThanOrEqual(expected.next);
  const rest = way.twin(bitmap.bytes, bitmap.pages, next, 1);
  expect(rest).toEqual(way.twin(bitmap.bytes, bitmap.pages, expected.next, 1));
  return next;
}

describe.each(ways)('$name', (way) => {
  test('finds what the twin finds, from anywhere, with any buffer', () => {
    const cut = fc.double({ min: 0, max: 1, noNaN: true });
    const rooms = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 9000 }));
    fc.assert(
      fc.property(sampleBitmap, cut, rooms, ({ pages, bytes }: SampleBitmap, at, room) => {
        const bitmap = new DirtyBitmap(pages, bytes);
        let from = Math.floor(at * pages);
        for (let calls = 0; from < pages && calls < 4; calls++) from = compareOnce(way, bitmap, from, room);
      }),
      { numRuns: 300 },
    );
  });

  test('repeated with its `next`, gives everything once', () => {
    fc.assert(
      fc.property(sampleBitmap, fc.integer({ min: 1, max: 5000 }), ({ pages, bytes }, room) => {
        const bitmap = new DirtyBitmap(pages, bytes);
        const out = new Uint32Array(room * way.width);
        const found: number[] = [];
        for (let from = 0; from < pages;) {
          const { written, next } = way.scan(bitmap, out, from);
          for (const entry of out.subarray(0, written * way.width)) found.push(entry);
          expect(next).toBeGreaterThan(from);
          from = next;
        }
        expect(found).toEqual(way.twin(bitmap.bytes, pages, 0, Infinity).found);
      }),
      { numRuns: 100 },
    );
  });

  test.each([1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 8192, 12_288, 100_003])('%i pages', (pages) => {
    for (const byte of [0x00, 0xff, 0x01, 0x80, 0xaa]) {
      const bitmap = new DirtyBitmap(pages);
      bitmap.bytes.fill(byte);
      for (const from of [0, 1, pages >> 1, pages - 1].filter((page) => page < pages)) {
        compareOnce(way, bitmap, from, 5000);
      }
      expect(way.scan(bitmap, new Uint32Array(2), pages)).toEqual({ written: 0, next: pages });
    }
  });

  test('starts in the middle of a run', () => {
    const bitmap = new DirtyBitmap(1000);
    bitmap.setRun(100, 300);
    const out = new Uint32Array(600);
    way.scan(bitmap, out, 390);
    expect(Array.from(out.subarray(0, 2))).toEqual(way.width === 2 ? [390, 10] : [390, 391]);
  });

  test('refuses a start that the bitmap does not have, and a buffer without room', () => {
    const bitmap = new DirtyBitmap(10);
    const refusal = expect.objectContaining({ code: 'ARGUMENT_INVALID' }) as Error;
    for (const from of [-1, 11, 0.5, NaN]) {
      expect(() => way.scan(bitmap, new Uint32Array(4), from)).toThrow(refusal);
    }
    expect(() => way.scan(bitmap, new Uint32Array(way.width - 1))).toThrow(refusal);
  });

  test('allocates nothing', () => {
    const bitmap = new DirtyBitmap(1 << 16);
    for (let page = 0; page + 3 < bitmap.pages; page += 7) bitmap.setRun(page, 3);
    const out = new Uint32Array(1 << 16);
    const scan = (times: number): void => {
      for (let i = 0; i < times; i++) way.scan(bitmap, out, i);
    };
    const growth = Array.from({ length: 8 }, () => {
      const before = process.memoryUsage().heapUsed;
      scan(3000);
      return process.memoryUsage().heapUsed - before;
    });
    // An object a scan would show in every round; the compiler at work shows in some.
    expect(Math.min(...growth.map(Math.abs))).toBeLessThan(3000 * 4);
  });
});

test('the largest bitmap', () => {
  const pages = 2 ** 30;
  const bitmap = new DirtyBitmap(pages);
  bitmap.set(0);
  bitmap.setRun(pages - 65, 65);
  expect(bitmap.count()).toBe(66);
  expect([...bitmap.runs()]).toEqual([
    { start: 0, count: 1 },
    { start: pages - 65, count: 65 },
  ]);
  expect([...bitmap.gfns()].at(-1)).toBe(pages - 1);
  bitmap.setRun(0, pages);
  expect(bitmap.count()).toBe(pages);
  expect([...bitmap.runs()]).toEqual([{ start: 0, count: pages }]);
});
