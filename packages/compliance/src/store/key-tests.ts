import assert from 'node:assert/strict';
import { expectCode } from '../expect.js';
import { listKeys, sameBytes, sampleBytes } from './data.js';
import type { Places } from './place.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-';

const GOOD = [
  'a',
  '0',
  '-',
  '_',
  'a.',
  'a..b',
  '-rf',
  'k' + ALPHABET,
  'deep/er/and/deep/er/still/and/then/some/more',
  'con.txt',
  'x'.repeat(512),
  `${'y'.repeat(255)}/${'z'.repeat(256)}`,
  Array.from({ length: 256 }, () => 'd')
    .join('/')
    .slice(0, 511),
];

const BAD = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  '../a',
  'a/../b',
  'a/./b',
  '.hidden',
  'a/.hidden',
  'a b',
  'a\\b',
  'a\0b',
  'a\n',
  'ä',
  '日本',
  'a+b',
  'a%2Fb',
  'a:b',
  '~a',
  'a*',
  'x'.repeat(513),
];

/** Which keys there are, and which there are not. */
export function keyTests(places: Places): void {
  places.test('takes every key that the port allows', async (store) => {
    for (const [index, key] of GOOD.entries()) await store.put(key, sampleBytes(20 + index, index));
    for (const [index, key] of GOOD.entries()) {
      sameBytes(await store.get(key), sampleBytes(20 + index, index), key);
      assert.equal((await store.stat(key))?.key, key);
    }
    assert.deepEqual(await listKeys(store), [...GOOD].sort());
    for (const key of GOOD) await store.delete(key);
    assert.deepEqual(await listKeys(store), []);
  });

  places.test('lets a key be the beginning of another, at a slash too', async (store) => {
    const keys = ['a', 'a/b', 'a/b/c', 'a.b', 'a.b/c', 'ab'];
    for (const key of keys) await store.put(key, sampleBytes(key.length, key.length));
    for (const key of keys) sameBytes(await store.get(key), sampleBytes(key.length, key.length), key);
    await store.delete('a/b');
    assert.deepEqual(await listKeys(store), ['a', 'a.b', 'a.b/c', 'a/b/c', 'ab']);
  });

  places.test('refuses any other key in every method', async (store) => {
    for (const key of BAD) {
      await expectCode(() => store.put(key, sampleBytes(1)), 'ARGUMENT_INVALID');
      await expectCode(() => store.put(key, sampleBytes(1), { mode: 'replace' }), 'ARGUMENT_INVALID');
      await expectCode(() => store.get(key), 'ARGUMENT_INVALID');
      await expectCode(() => store.stat(key), 'ARGUMENT_INVALID');
      await expectCode(() => store.delete(key), 'ARGUMENT_INVALID');
    }
    assert.deepEqual(await listKeys(store), []);
  });
}
