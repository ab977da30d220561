import { PAGE_SIZE } from '@fitdoc/interface';
import { describe, expect, it } from 'vitest';
import { REMUS_MOST, remusDecode, remusEncode } from '../src/codec/remus.js';
import { xbzrleDecode, xbzrleEncode } from '../src/codec/xbzrle.js';

/** Pairs of a page and what it held before: from nothing changed to everything. */
function pairs(): [Uint8Array, Uint8Array][] {
  return [0, 1, 3, 40, 700, 4096, 20_000].map((changes, seed) => {
    const previous = new Uint8Array(PAGE_SIZE).map((_, at) => (at * 31 + seed) >> 3);
    const next = previous.slice();
    for (let change = 0; change < changes; change += 1) next[(change * 2741 + seed) % PAGE_SIZE] = change;
    return [next, previous];
  });
}

describe.each([
  { name: 'Remus', encode: remusEncode, decode: remusDecode },
  { name: 'XBZRLE', encode: xbzrleEncode, decode: xbzrleDecode },
])('$name', ({ encode, decode }) => {
  it('gives back every page that it takes', () => {
    let taken = 0;
    for (const [next, previous] of pairs()) {
      const out = new Uint8Array(REMUS_MOST + 3);
      const length = encode(next, previous, out, 3);
      if (length < 0) continue;
      taken += 1;
      decode(out.subarray(3, 3 + length), previous);
      expect(Buffer.compare(previous, next)).toBe(0);
    }
    expect(taken).toBeGreaterThan(4);
  });
});

describe('sizes', () => {
  it('of Remus are those of its format', () => {
    const [next, previous, out] = [page(1), page(0), new Uint8Array(REMUS_MOST)];
    expect(remusEncode(next, previous, out, 0)).toBe(REMUS_MOST);
    expect(remusEncode(previous, previous, out, 0)).toBe(1);
    const one = previous.slice();
    one[0] = 1;
    // One changed granule with its header, and nine headers for the 1023 others.
    expect(remusEncode(one, previous, out, 0)).toBe(5 + 9);
  });

  it('of XBZRLE are those of its documented example', () => {
    const previous = page(0);
    previous.set(Buffer.from('05060708090a0b0c0d0e0f1011121368 00006b006d'.replace(' ', ''), 'hex'), 1001);
    const next = page(0);
    next.set(Buffer.from('0102030405060708090a0b0c0d0e0f68 000067 0069'.replaceAll(' ', ''), 'hex'), 1001);
    const out = new Uint8Array(PAGE_SIZE);
    const length = xbzrleEncode(next, previous, out, 0);
    expect(Buffer.from(out.subarray(0, length)).toString('hex')).toBe(
      'e9070f0102030405060708090a0b0c0d0e0f030167010169',
    );
    expect(xbzrleEncode(page(1), page(0), out, 0)).toBe(-1);
  });
});

function page(fill: number): Uint8Array {
  return new Uint8Array(PAGE_SIZE).fill(fill);
}
