import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bodyChunks, checkKey, checkRange } from '../src/index.js';

it('takes the keys that the port allows and no others', () => {
  for (const key of ['a', 'machines/m-1/x_2.fitdoc', '0'.repeat(512)])
    expect(() => checkKey(key)).not.toThrow();
  for (const key of ['', '/a', 'a/', 'a//b', '.a', 'a/.b', 'a b', 'ä', 'a\n', '0'.repeat(513)]) {
    expect(() => checkKey(key), key).toThrow(/Not a key/);
  }
});

it('takes whole, non-negative ranges', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (offset, length) => {
      checkRange({ offset, length });
    }),
  );
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    expect(() => checkRange({ offset: value, length: 1 })).toThrow(/Not a range/);
    expect(() => checkRange({ offset: 0, length: value })).toThrow(/Not a range/);
  }
});

it('gives the chunks of a body, and ends one that hangs when the signal is aborted', async () => {
  const all: number[] = [];
  for await (const chunk of bodyChunks(new Uint8Array([1, 2]))) all.push(...chunk);
  expect(all).toEqual([1, 2]);
  let left = false;
  const hanging: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => undefined),
      return: () => {
        left = true;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  const reading = (async () => {
    for await (const _ of bodyChunks(hanging, AbortSignal.timeout(20)));
  })();
  await expect(reading).rejects.toMatchObject({ code: 'ABORTED' });
  expect(left).toBe(true);
});
