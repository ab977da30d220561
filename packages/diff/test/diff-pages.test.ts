import { KIND_WHOLE, KIND_WORDS, KIND_ZERO } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyBatch, diffPages } from '../src/index.js';
import { diffPagesPlainly } from '../src/twin-pages.js';
import { edited, equalBytes, PAGE, pageEdit, randomBytes } from './pages.js';

function pairOf(edits: readonly Parameters<typeof edited>[1][], seed: number) {
  const image = randomBytes(edits.length * PAGE, seed);
  image.fill(0, 0, Math.floor(edits.length / 3) * PAGE);
  const next = new Uint8Array(image.length);
  edits.forEach((edit, index) => {
    next.set(edited(image.subarray(index * PAGE, (index + 1) * PAGE), edit), index * PAGE);
  });
  return { image, next };
}

describe('diffPages', () => {
  it('finds what the plain comparison finds, and its batch replays', () => {
    const edits = fc.array(pageEdit, { maxLength: 70 });
    const property = fc.property(edits, fc.integer(), fc.nat(512), (list, seed, wholeAbove) => {
      const { image, next } = pairOf(list, seed);
      const plainImage = image.slice();
      const replica = image.slice();
      const expected = diffPagesPlainly(next, plainImage, wholeAbove);
      const batch = diffPages(next, image, { wholeAbove });
      expect(batch).toEqual(expected);
      applyBatch(batch, replica);
      expect(equalBytes(image, next) && equalBytes(plainImage, next) && equalBytes(replica, next)).toBe(true);
    });
    fc.assert(property, { numRuns: 80 });
  });

  it('tells the kinds of change apart', () => {
    const image = randomBytes(5 * PAGE, 1);
    const next = image.slice();
    next.fill(0, PAGE, 2 * PAGE);
    next[2 * PAGE + 8]! ^= 1;
    next.set(randomBytes(PAGE, 2), 4 * PAGE);
    const batch = diffPages(next, image);
    expect([...batch.gfns]).toEqual([1, 2, 4]);
    expect([...batch.kinds]).toEqual([KIND_ZERO, KIND_WORDS, KIND_WHOLE]);
    expect(batch.masks[0]).toBe(2);
    expect(batch.words).toEqual(next.slice(2 * PAGE + 8, 2 * PAGE + 16));
    expect(batch.pages).toEqual(next.slice(4 * PAGE));
  });

  it('takes views at any offset and shared memory', () => {
    const space = new Uint8Array(new SharedArrayBuffer(3 * PAGE));
    const image = space.subarray(3, 3 + PAGE);
    const next = randomBytes(PAGE + 1, 3).subarray(1);
    const batch = diffPages(next, image);
    expect(equalBytes(image, next)).toBe(true);
    expect(batch.pages).toEqual(next.slice());
  });

  it('refuses buffers that do not fit together', () => {
    const bad = [
      [PAGE, 2 * PAGE],
      [100, 100],
      [1025 * PAGE, 1025 * PAGE],
    ] as const;
    for (const [left, right] of bad) {
      const call = () => diffPages(new Uint8Array(left), new Uint8Array(right));
      expect(call).toThrowError(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
    }
    expect(diffPages(new Uint8Array(0), new Uint8Array(0)).gfns).toHaveLength(0);
  });
});

describe('applyBatch', () => {
  const batch = () => diffPages(randomBytes(PAGE, 5), new Uint8Array(PAGE), { wholeAbove: 512 });

  it('writes to pages that a function gives', () => {
    const pages = new Map<number, Uint8Array>();
    applyBatch(batch(), (gfn) => {
      const page = new Uint8Array(PAGE);
      pages.set(gfn, page);
      return page;
    });
    expect(pages.get(0)).toEqual(randomBytes(PAGE, 5));
  });

  it('refuses columns that do not fit together, kinds that do not exist, and pages beyond the target', () => {
    const whole = batch();
    const damaged = [
      { ...whole, words: whole.words.subarray(1) },
      { ...whole, masks: whole.masks.subarray(1) },
      { ...whole, kinds: Uint8Array.of(2) },
      { ...whole, kinds: Uint8Array.of(0) },
      { ...whole, kinds: Uint8Array.of(9) },
      { ...whole, kinds: new Uint8Array(0) },
      { ...whole, gfns: Uint32Array.of(7) },
    ];
    for (const bad of damaged) {
      const call = () => applyBatch(bad, new Uint8Array(PAGE));
      expect(call).toThrowError(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
    }
  });
});
