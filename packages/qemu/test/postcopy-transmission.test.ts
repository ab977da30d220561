import { PAGE_SIZE, type PageExtent } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Block } from '../src/postcopy/messages.js';
import { Transmission } from '../src/postcopy/transmission.js';

const BLOCKS: readonly Block[] = [
  { name: 'ram', firstGfn: 0, pages: 64, pageSize: PAGE_SIZE },
  { name: 'big', firstGfn: 64, pages: 32, pageSize: 4 * PAGE_SIZE },
];
const PAGES = 96;

interface Record {
  readonly gfn: number;
  /** The byte that fills the page; undefined: a zero record. */
  readonly fill: number | undefined;
}

/** Takes a message apart as QEMU does; `last` is what a record that continues goes on with. */
function parse(message: Uint8Array, last: { block: Block | undefined }): Record[] {
  const bytes = Buffer.from(message);
  expect(bytes.subarray(0, 5).toString('hex')).toBe('0200000002');
  const records: Record[] = [];
  let at = 5;
  for (;;) {
    const word = Number(bytes.readBigUInt64BE(at));
    at += 8;
    const flags = word % PAGE_SIZE;
    if (flags === 0x10) break;
    if ((flags & 0x20) === 0) {
      const name = bytes.toString('latin1', at + 1, at + 1 + bytes[at]!);
      at += 1 + bytes[at]!;
      last.block = BLOCKS.find((block) => block.name === name);
    }
    const gfn = last.block!.firstGfn + (word - flags) / PAGE_SIZE;
    const isPage = (flags & 0x08) !== 0;
    records.push({ gfn, fill: isPage ? bytes[at] : undefined });
    at += isPage ? PAGE_SIZE : 1;
  }
  expect(bytes.subarray(at).toString('hex')).toBe('7e00000002');
  return records;
}

/** Extents of the pages whose fill is not 0. */
function extentsOf(memory: Uint8Array, start: number, count: number): PageExtent[] {
  return Array.from({ length: count }, (_, index) => start + index)
    .filter((gfn) => memory[gfn] !== 0)
    .map((gfn) => ({ gfn, bytes: new Uint8Array(PAGE_SIZE).fill(memory[gfn]!) }));
}

describe('a transmission', () => {
  test('sends each page once, owes none that may not be zero at its end, and ends no sooner', () => {
    const run = fc
      .tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: 12 }), fc.boolean())
      .map(([gfn, count, zeros]) => {
        // Whole host pages, as the server asks for.
        const from = gfn < 64 ? gfn : gfn - (gfn % 4);
        const to = Math.min(PAGES, from + count);
        return { start: from, end: to <= 64 ? to : Math.ceil(to / 4) * 4, zeros };
      });
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: PAGES, maxLength: PAGES, max: 2 }),
        fc.array(run, { maxLength: 60 }),
        fc.uniqueArray(fc.nat(PAGES - 1), { maxLength: 20 }),
        (memory, runs, received) => {
          const stored = extentsOf(memory, 0, PAGES).map(({ gfn }) => ({ start: gfn, count: 1 }));
          const transmission = new Transmission(BLOCKS, stored);
          const has = new Uint8Array(PAGES);
          for (const block of BLOCKS) {
            const bitmap = new Uint8Array(8);
            const size = block.pageSize / PAGE_SIZE;
            for (let page = 0; page < block.pages; page++) {
              if (!received.includes(block.firstGfn + page - (page % size))) continue;
              bitmap[page >> 3]! |= 1 << (page & 7);
              has[block.firstGfn + page] = 1;
            }
            transmission.received(block.name, bitmap);
          }
          const last = { block: undefined };
          const all = [...runs, { start: 0, end: 64, zeros: false }, { start: 64, end: PAGES, zeros: false }];
          for (const { start, end, zeros } of all) {
            const owed = memory.some((fill, gfn) => fill !== 0 && has[gfn] === 0);
            if (owed) expect(() => transmission.end()).toThrow(RangeError);
            const message = transmission.section(
              { start, count: end - start },
              extentsOf(memory, start, end - start),
              zeros,
            );
            for (const { gfn, fill } of message ? parse(message, last) : []) {
              expect(has[gfn]).toBe(0);
              has[gfn] = 1;
              expect(fill ?? 0).toBe(memory[gfn]);
            }
            if (zeros) expect(has.subarray(start, end).every((bit) => bit === 1)).toBe(true);
          }
          for (let gfn = 0; gfn < PAGES; gfn++) if (memory[gfn] !== 0) expect(has[gfn]).toBe(1);
          expect(transmission.left).toBe(0);
          expect(transmission.sentPages).toBe(has.reduce((sum, bit) => sum + bit, 0));
          expect(Buffer.from(transmission.end()).toString('hex')).toBe(
            '030000000200000000000000107e0000000200',
          );
          expect(transmission.section({ start: 0, count: 64 }, [], true)).toBeUndefined();
        },
      ),
    );
  });

  test('refuses a part of a host page, a page of no block, and a bitmap of another block', () => {
    const transmission = new Transmission(BLOCKS, [{ start: 65, count: 1 }]);
    // The host page around the one that is stored.
    expect(transmission.owedIn({ start: 0, count: PAGES })).toEqual([{ start: 64, count: 4 }]);
    expect(() => transmission.section({ start: 65, count: 1 }, [])).toThrow(RangeError);
    expect(() => transmission.hostPage(PAGES)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_ERROR' }) as Error,
    );
    for (const [name, size] of [
      ['other', 8],
      ['ram', 7],
    ] as const)
      expect(() => transmission.received(name, new Uint8Array(size))).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_ERROR' }) as Error,
      );
  });
});
