import assert from 'node:assert/strict';
import { expectCode } from '../expect.js';
import { listAll, listKeys, sampleBytes } from './data.js';
import type { Places } from './place.js';

// In byte order '-' and '.' sort before '/', which catches listings that sort directory by directory.
const KEYS = [
  'A/1',
  'B',
  'a',
  'a-b',
  'a-b/c',
  'a.b',
  'a.b/c',
  'a/-',
  'a/b',
  'a/b-c',
  'a/b.c',
  'a/b/c',
  'a/b0',
  'a0',
  'aa/1',
  'b/x/y/z',
  'z_',
];

/** Listing: order, prefixes, and what happens to the store meanwhile. */
export function listTests(places: Places): void {
  basicListTests(places);
  startAfterTests(places);
  longListTests(places);
}

function basicListTests(places: Places): void {
  places.test('lists nothing where nothing is', async (store) => {
    assert.deepEqual(await listKeys(store), []);
    assert.deepEqual(await listKeys(store, 'some/prefix/'), []);
  });

  places.test('lists in ascending order of bytes, by plain string prefix', async (store) => {
    const shuffled = KEYS.map((key, index) => ({ key, order: (index * 7) % KEYS.length }));
    shuffled.sort((one, other) => one.order - other.order);
    for (const { key } of shuffled) await store.put(key, sampleBytes(key.length));
    const prefixes = [
      '',
      'a',
      'a/',
      'a/b',
      'a/b/',
      'a-',
      'a.',
      'a.b/',
      'b/x',
      'b/x/y/z',
      'b/x/y/z/',
      'A',
      'Z',
      'zz',
    ];
    for (const prefix of prefixes) {
      const expected = KEYS.filter((key) => key.startsWith(prefix)).sort();
      assert.deepEqual(await listKeys(store, prefix), expected, `prefix '${prefix}'`);
    }
    for (const prefix of ['/', '.', '..', '../', 'a//', 'a/../', 'ä', 'a b', 'x'.repeat(600)]) {
      assert.deepEqual(await listKeys(store, prefix), [], `prefix '${prefix}', which no key can have`);
    }
    for (const stat of await listAll(store)) {
      assert.equal(stat.size, stat.key.length);
      assert.ok(stat.modifiedMs > 1_500_000_000_000);
    }
  });

  places.test('lists long segments in order among their like', async (store) => {
    const stem = 's'.repeat(250);
    const keys = [
      stem,
      `${stem}-x`,
      `${stem}.x`,
      `${stem}/x`,
      `${stem}0`,
      `${stem}${stem}`,
      `${stem}${stem}/y`,
    ];
    for (const key of keys) await store.put(key, sampleBytes(1));
    assert.deepEqual(await listKeys(store), [...keys].sort());
    assert.deepEqual(await listKeys(store, `${stem}s`), [...keys].sort().slice(-2));
  });
}

function startAfterTests(places: Places): void {
  places.test('lists what comes behind a key, or behind the beginning of one', async (store) => {
    for (const key of KEYS) await store.put(key, sampleBytes(key.length));
    const starts = ['', 'A/', 'a', 'a-b', 'a/', 'a/b', 'a/b/b', 'a/b/d', 'b/x/y/z', 'zz'];
    for (const prefix of ['', 'a/', 'b/x']) {
      for (const startAfter of starts) {
        const expected = KEYS.filter((key) => key.startsWith(prefix) && key > startAfter).sort();
        const found: string[] = [];
        for await (const { key } of store.list(prefix, { startAfter })) found.push(key);
        assert.deepEqual(found, expected, `prefix '${prefix}' behind '${startAfter}'`);
      }
    }
    for (const startAfter of ['ä', 'a b', 'x'.repeat(600)]) {
      const drain = async () => {
        for await (const _ of store.list('', { startAfter }));
      };
      await expectCode(drain, 'ARGUMENT_INVALID');
    }
  });

  places.test('lists behind a key that splits a long segment', async (store) => {
    const stem = 's'.repeat(250);
    const keys = [stem, `${stem}/x`, `${stem}0`, `${stem}${stem}`].sort();
    for (const key of keys) await store.put(key, sampleBytes(1));
    for (const [index, startAfter] of keys.entries()) {
      const found: string[] = [];
      for await (const { key } of store.list('s', { startAfter })) found.push(key);
      assert.deepEqual(found, keys.slice(index + 1));
    }
  });
}

function longListTests(places: Places): void {
  places.test('lists each standing object once while others come and go', async (store) => {
    const standing = Array.from({ length: 60 }, (_, i) => `s/${String(i * 2).padStart(4, '0')}`);
    await Promise.all(standing.map((key) => store.put(key, sampleBytes(4))));
    const seen: string[] = [];
    let step = 0;
    for await (const { key } of store.list('s/')) {
      seen.push(key);
      const passing = `s/${String(step * 2 + 1).padStart(4, '0')}`;
      if (step % 3 === 0) await store.put(passing, sampleBytes(1));
      if (step % 3 === 1) await store.delete(`s/${String((step - 1) * 2 + 1).padStart(4, '0')}`);
      step++;
    }
    const isStanding = new Set(standing);
    assert.deepEqual(
      seen.filter((key) => isStanding.has(key)),
      standing,
    );
    assert.equal(new Set(seen).size, seen.length, 'no key twice');
    assert.deepEqual(seen, [...seen].sort());
  });

  places.test('lists more than a thousand objects', async (store) => {
    const keys = Array.from({ length: 1_205 }, (_, i) => `many/${i % 7}/${String(i).padStart(5, '0')}`);
    for (let i = 0; i < keys.length; i += 64) {
      await Promise.all(keys.slice(i, i + 64).map((key) => store.put(key, sampleBytes(1))));
    }
    const sorted = [...keys].sort();
    assert.deepEqual(await listKeys(store, 'many/'), sorted);
    const late: string[] = [];
    for await (const { key } of store.list('many/', { startAfter: sorted[150]! })) late.push(key);
    assert.deepEqual(late, sorted.slice(151), 'behind a key, over more than a page');
    if (!store.deleteMany) return;
    const failures = await store.deleteMany([...sorted.slice(1), 'many/never-was']);
    assert.deepEqual(failures, []);
    assert.deepEqual(await listKeys(store), sorted.slice(0, 1), 'deleted more than a thousand at once');
  });

  places.test('lets a listing be left early', async (store) => {
    for (const key of ['a', 'b', 'c']) await store.put(key, sampleBytes(1));
    for await (const stat of store.list('')) {
      assert.equal(stat.key, 'a');
      break;
    }
    assert.deepEqual(await listKeys(store), ['a', 'b', 'c']);
  });
}
