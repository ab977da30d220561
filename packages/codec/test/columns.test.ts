import { PAGE_SIZE } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { restoreCopies, separateCopies } from '../src/copies.js';
import { decodeGfns, encodeGfns } from '../src/gfns.js';
import { countMaskBits } from '../src/masks.js';
import { Scratch } from '../src/scratch.js';
import { shuffle, unshuffle } from '../src/shuffle.js';
import { hasZeroWords, restoreZeroWords, separateZeroWords } from '../src/zero-words.js';
import { errorCode } from './errors.js';

const anyWords = fc
  .array(fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), { maxLength: 300 })
  .map((words) => new Uint8Array(BigUint64Array.from(words).buffer));

describe('page numbers', () => {
  it('come back from runs', () => {
    const anyGfns = fc
      .uniqueArray(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 2 ** 30 - 1 })))
      .map((gfns) => Uint32Array.from(gfns).sort());
    fc.assert(
      fc.property(anyGfns, (gfns) => {
        expect(decodeGfns(encodeGfns(gfns), gfns.length)).toEqual(gfns);
      }),
    );
  });

  it.each([
    ['a run that is cut off', [1]],
    ['a number that is cut off', [0x80]],
    ['more pages than there are', [0, 3]],
    ['fewer pages than there are', [0, 0]],
    ['bytes behind the last run', [0, 1, 0]],
    ['a number longer than needed', [0x80, 0x00, 1]],
    ['a number of more than five bytes', [0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1]],
    ['a page beyond the last possible', [0xff, 0xff, 0xff, 0xff, 0x03, 1]],
  ])('are refused with %s', (_, bytes) => {
    expect(errorCode(() => decodeGfns(Uint8Array.from(bytes), 2))).toBe('CODEC_DAMAGED');
  });

  it('have one encoding: what decodes encodes to the same bytes', () => {
    const anyRuns = fc.uint8Array({ minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(anyRuns, fc.integer({ min: 1, max: 300 }), (bytes, pages) => {
        let gfns: Uint32Array | undefined;
        if (errorCode(() => (gfns = decodeGfns(bytes, pages))) !== undefined || !gfns) return;
        expect(encodeGfns(gfns)).toEqual(bytes);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('words', () => {
  it('shuffle as the definition says, and back', () => {
    fc.assert(
      fc.property(anyWords, (bytes) => {
        const count = bytes.length / 8;
        const expected = bytes.map(
          (_, index) => bytes[(index % count) * 8 + Math.floor(index / count)] as number,
        );
        expect(shuffle(bytes)).toEqual(expected);
        expect(unshuffle(expected)).toEqual(bytes);
      }),
    );
  });

  it('come back after their zeros were left out', () => {
    fc.assert(
      fc.property(anyWords, (bytes) => {
        const sparse = separateZeroWords(bytes, new Scratch());
        const words = Array.from(new BigUint64Array(bytes.buffer));
        const zeros = words.filter((word) => word === 0n).length;
        expect(sparse.words.length / 8).toBe(words.length - zeros);
        expect(countMaskBits(sparse.nonzero)).toBe(words.length - zeros);
        expect(restoreZeroWords(sparse, words.length)).toEqual(bytes);
      }),
    );
  });

  it('show how many of them are zero', () => {
    const words = new Uint8Array(31 * 8 * 40);
    for (let word = 0; word < 31 * 20; word += 1) words[word * 8 + 7] = 1;
    expect(hasZeroWords(words, 0.4)).toBe(true);
    expect(hasZeroWords(words, 0.6)).toBe(false);
    expect(hasZeroWords(new Uint8Array(0), 0)).toBe(false);
  });

  it('are not zero where they are marked as not zero', () => {
    const lie = { nonzero: Uint8Array.of(1), words: new Uint8Array(8) };
    expect(errorCode(() => restoreZeroWords(lie, 2))).toBe('CODEC_DAMAGED');
  });
});

describe('whole pages', () => {
  const anyPages = fc
    .array(fc.record({ fill: fc.constantFrom(0, 1, 2), last: fc.constantFrom(0, 7) }), { maxLength: 12 })
    .map((looks) =>
      looks.map(({ fill, last }) => new Uint8Array(PAGE_SIZE).fill(fill).fill(last, PAGE_SIZE - 1)),
    );

  it('are stored once, in order of appearance, and come back', () => {
    fc.assert(
      fc.property(anyPages, (looks) => {
        const pages = Uint8Array.from(Buffer.concat(looks));
        const separated = separateCopies(pages, new Scratch());
        const distinct = new Set(looks.map((look) => Buffer.from(look).toString('latin1')));
        expect(separated.pages.length / PAGE_SIZE).toBe(distinct.size);
        expect(separated.copies.length).toBe(distinct.size === looks.length ? 0 : looks.length * 2);
        expect(Buffer.compare(restoreCopies(separated.pages, separated.copies, looks.length), pages)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['a page that is not there', 1, [0, 0, 1, 0]],
    ['a page before its turn', 2, [1, 0, 0, 0]],
    ['a page that is never used', 2, [0, 0, 0, 0]],
  ])('are refused with %s', (_, distinct, copies) => {
    const pages = new Uint8Array(distinct * PAGE_SIZE);
    expect(errorCode(() => restoreCopies(pages, Uint8Array.from(copies), 2))).toBe('CODEC_DAMAGED');
  });
});
