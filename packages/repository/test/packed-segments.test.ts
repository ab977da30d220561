import fc from 'fast-check';
import { isFitdocError, type Json } from '@fitdoc/interface';
import { describe, expect, it } from 'vitest';
import { fold, join, sizeOf, type Cell } from '../src/catalogue/packed/cells.js';
import { nameOfKey } from '../src/catalogue/packed/entry-columns.js';
import { decodeSegment, digestOf, encodeSegment } from '../src/catalogue/packed/segment.js';
import type { CheckpointEntry } from '../src/index.js';
import { syntheticEntry } from './support/synthetic-store.js';

const DIRECTORY = 'machines/m/checkpoints/';

const metrics = fc.dictionary(
  fc.string({ maxLength: 8 }),
  fc.oneof(
    fc.integer(),
    // JSON knows one zero.
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
    fc.integer({ max: 1e9 }).map((value) => value / 1_000),
    fc.string(),
    fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json),
  ),
  { maxKeys: 5 },
);

/** Entries of which every member may be odd, also such as this version knows nothing of. */
const entries: fc.Arbitrary<CheckpointEntry[]> = fc
  .array(
    fc.record({
      nth: fc.nat({ max: 5_000 }),
      metrics,
      extra: fc.option(fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json)),
      state: fc.option(fc.constantFrom('a'.repeat(64), 'b'.repeat(64))),
      bytes: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    }),
    { maxLength: 40 },
  )
  .map((all) =>
    all.map(({ nth, extra, state, ...rest }) => ({
      ...syntheticEntry(nth),
      ...rest,
      ...(extra === null ? {} : { extra }),
      ...(state === null
        ? {}
        : { state, contentHash: state, id: state.slice(0, 32), role: 'shortcut' as const }),
    })),
  );

describe('a segment', () => {
  it('gives back every entry as it was', async () => {
    await fc.assert(
      fc.asyncProperty(entries, fc.array(fc.stringMatching(/^[0-9a-f-]{1,30}$/)), async (some, unread) => {
        const { bytes, digest } = await encodeSegment({ entries: some, unread });
        expect(digestOf(bytes)).toBe(digest);
        expect(await decodeSegment(bytes, DIRECTORY)).toEqual({ entries: some, unread });
      }),
      { numRuns: 200 },
    );
  });

  it('takes some tens of bytes an entry, and says the same twice', async () => {
    const some = Array.from({ length: 4_096 }, (_, nth) => syntheticEntry(nth + 1));
    const first = await encodeSegment({ entries: some, unread: [] });
    expect(first.bytes.length / some.length).toBeLessThan(60);
    expect((await encodeSegment({ entries: some.map((entry) => ({ ...entry })), unread: [] })).digest).toBe(
      first.digest,
    );
  });

  it('is refused, by one code, whatever happened to its bytes', async () => {
    const some = Array.from({ length: 30 }, (_, nth) => syntheticEntry(nth));
    const { bytes, digest } = await encodeSegment({ entries: some, unread: ['a'] });
    const change = fc.record({
      at: fc.nat({ max: bytes.length - 1 }),
      to: fc.nat({ max: 255 }),
      cut: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        let changed = bytes.slice();
        for (const { at, to, cut } of changes) {
          if (cut) changed = changed.slice(0, at);
          else if (at < changed.length) changed[at] = to;
        }
        if (Buffer.compare(changed, bytes) === 0) return;
        expect(digestOf(changed)).not.toBe(digest);
        await decodeSegment(changed, DIRECTORY).catch((error: unknown) => {
          expect(isFitdocError(error, 'FORMAT_DAMAGED'), String(error)).toBe(true);
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe('folding', () => {
  const cellsOf = (sizes: readonly number[], overlap: readonly boolean[]): Cell[] => {
    let nth = 0;
    let last = '';
    return sizes.map((size, index) => {
      const back = overlap[index] ? Math.min(nth, 3) : 0;
      const some = Array.from({ length: size + back }, (_, row) => syntheticEntry(nth - back + row));
      nth += size;
      const after = back > 0 ? nameOfKey(syntheticEntry(nth - size - back).key) : last;
      last = some.length > 0 ? nameOfKey(some.at(-1)!.key) : last;
      return {
        after,
        last,
        entries: some.filter(({ key }) => nameOfKey(key) > after),
        unread: [],
        stored: [`${index}`],
      };
    });
  };

  it('keeps every entry and every claim, and leaves few cells', () => {
    const small = { sizes: [4, 16, 64] as const, fanOut: 4 };
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 70 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.boolean()), (some, overlaps) => {
        const cells = cellsOf(
          some,
          some.map(() => Boolean(overlaps.next().value)),
        );
        const folded = fold(cells, small);
        const keys = (all: readonly Cell[]) =>
          [...new Set(all.flatMap(({ entries: of }) => of.map(({ key }) => key)))].sort();
        expect(keys(folded)).toEqual(keys(cells));
        expect(folded.map(({ after }) => after)).toEqual(
          [folded[0]?.after, ...folded.slice(0, -1).map(({ last }) => last)].slice(0, folded.length),
        );
        const held = folded.reduce((sum, cell) => sum + sizeOf(cell), 0);
        expect(folded.length).toBeLessThanOrEqual(3 * small.fanOut * (1 + held / small.sizes[2]) + held / 17);
        for (const cell of folded.filter(({ stored }) => stored.length > 0)) expect(cells).toContain(cell);
      }),
    );
  });

  it('joins as sizes grow, so that a year of checkpoints has few segments', () => {
    const scaled = { sizes: [16, 64, 256, 1_024, 4_096] as const, fanOut: 2 };
    let cells: Cell[] = [];
    for (let round = 0; round < 420; round++) {
      const some = Array.from({ length: 16 }, (_, row) => syntheticEntry(round * 16 + row));
      const [after, last] = [cells.at(-1)?.last ?? '', nameOfKey(some.at(-1)!.key)];
      cells = fold([...cells, { after, last, entries: some, unread: [], stored: [] }], scaled);
      expect(cells.length).toBeLessThanOrEqual(scaled.sizes.length * scaled.fanOut);
    }
    expect(sizeOf(join(cells))).toBe(420 * 16);
  });
});
