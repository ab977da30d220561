import assert from 'node:assert/strict';
import { expectCode } from '../expect.js';
import { listAll, sameBytes, sampleBytes } from './data.js';
import type { Places } from './place.js';

const SIZES = [0, 1, 7, 4095, 4096, 4097, 65_537, 1_048_576, 3_145_729];

/** What is put is got: whole, in ranges, with its size and time; replaced and deleted. */
export function objectTests(places: Places): void {
  basicObjectTests(places);
  missingTests(places);
}

function basicObjectTests(places: Places): void {
  for (const size of SIZES) {
    places.test(`gives back an object of ${size} bytes`, async (store) => {
      const bytes = sampleBytes(size, size + 3);
      const before = Date.now();
      const stat = await store.put('objects/one.bin', bytes);
      assert.equal(stat.key, 'objects/one.bin');
      assert.equal(stat.size, size);
      assert.ok(Number.isFinite(stat.modifiedMs));
      // The store's clock may be another host's: an hour apart is wrong units, not skew.
      assert.ok(Math.abs(stat.modifiedMs - before) < 3_600_000, 'modifiedMs is in milliseconds since 1970');
      sameBytes(await store.get('objects/one.bin'), bytes, 'get');
      const seen = await store.stat('objects/one.bin');
      assert.equal(seen?.size, size);
      assert.equal(seen?.key, 'objects/one.bin');
      assert.deepEqual(
        (await listAll(store)).map(({ key, size }) => [key, size]),
        [['objects/one.bin', size]],
      );
    });
  }

  places.test('reads ranges, and what there is of a range that reaches past the end', async (store) => {
    const bytes = sampleBytes(10_000, 5);
    await store.put('r.bin', bytes);
    const ranges: [offset: number, length: number][] = [
      [0, 1],
      [0, 10_000],
      [1, 9_998],
      [4095, 2],
      [9_999, 1],
      [9_999, 50],
      [0, 1_000_000],
      [5_000, 1_000_000],
      [10_000, 1],
      [10_001, 7],
      [1_000_000, 1_000],
      [0, 0],
      [77, 0],
      [10_000, 0],
      [20_000, 0],
    ];
    for (const [offset, length] of ranges) {
      const got = await store.get('r.bin', { offset, length });
      sameBytes(got, bytes.subarray(offset, offset + length), `range ${offset}+${length}`);
    }
  });

  places.test('reads ranges of an empty object as nothing', async (store) => {
    await store.put('empty.bin', new Uint8Array());
    sameBytes(await store.get('empty.bin', { offset: 0, length: 10 }), new Uint8Array(), 'from 0');
    sameBytes(await store.get('empty.bin', { offset: 5, length: 10 }), new Uint8Array(), 'from 5');
  });
}

function missingTests(places: Places): void {
  places.test('answers for missing keys', async (store) => {
    await store.put('here.bin', sampleBytes(3));
    for (const key of ['missing', 'here', 'here.bin/under', 'here.bin.more', 'a/b/c', 'HERE.bin']) {
      await expectCode(store.get(key), 'STORE_NOT_FOUND');
      await expectCode(store.get(key, { offset: 0, length: 0 }), 'STORE_NOT_FOUND');
      assert.equal(await store.stat(key), undefined, `stat of ${key}`);
      await store.delete(key);
    }
    assert.equal((await store.stat('here.bin'))?.size, 3);
  });

  places.test('puts only where nothing is, unless told to replace', async (store) => {
    const first = sampleBytes(100, 1);
    const second = sampleBytes(50, 2);
    await store.put('k.bin', first);
    await expectCode(store.put('k.bin', second), 'STORE_EXISTS');
    await expectCode(store.put('k.bin', second, { mode: 'absent' }), 'STORE_EXISTS');
    sameBytes(await store.get('k.bin'), first, 'after a refused put');
    const stat = await store.put('k.bin', second, { mode: 'replace' });
    assert.equal(stat.size, 50);
    sameBytes(await store.get('k.bin'), second, 'after a replace');
    await store.put('new.bin', first, { mode: 'replace' });
    sameBytes(await store.get('new.bin'), first, 'replace of nothing');
  });

  deletionTests(places);
}

function deletionTests(places: Places): void {
  places.test('deletes, again without complaint, and lets the key be used anew', async (store) => {
    await store.put('d/one.bin', sampleBytes(10));
    await store.put('d/two.bin', sampleBytes(11));
    await store.delete('d/one.bin');
    await store.delete('d/one.bin');
    await expectCode(store.get('d/one.bin'), 'STORE_NOT_FOUND');
    assert.equal(await store.stat('d/one.bin'), undefined);
    assert.deepEqual(
      (await listAll(store)).map((stat) => stat.key),
      ['d/two.bin'],
    );
    await store.put('d/one.bin', sampleBytes(12));
    assert.equal((await store.stat('d/one.bin'))?.size, 12);
  });

  places.test('deletes many, those that are not there too, where it has a way to', async (store) => {
    if (!store.deleteMany) return;
    const keys = ['m/one.bin', 'm/two.bin', 'm/two.bin/under', 'other.bin', 'stays.bin'];
    for (const key of keys) await store.put(key, sampleBytes(10));
    assert.deepEqual(await store.deleteMany([]), []);
    assert.deepEqual(await store.deleteMany([...keys.slice(0, 4), 'm/never-was', 'm/one.bin']), []);
    assert.deepEqual(
      (await listAll(store)).map((stat) => stat.key),
      ['stays.bin'],
    );
    await expectCode(() => store.deleteMany!(['stays.bin', 'no key']), 'ARGUMENT_INVALID');
    assert.equal((await store.stat('stays.bin'))?.size, 10);
    const aborted = { signal: AbortSignal.abort() };
    await expectCode(() => store.deleteMany!(['stays.bin'], aborted), 'ABORTED');
    assert.equal((await store.stat('stays.bin'))?.size, 10);
  });

  places.test('shares no memory with its callers', async (store) => {
    const bytes = sampleBytes(5_000, 9);
    const mine = bytes.slice();
    await store.put('m.bin', mine);
    mine.fill(0);
    const got = await store.get('m.bin');
    sameBytes(got, bytes, 'after the caller overwrote what it had put');
    got.fill(0);
    const part = await store.get('m.bin', { offset: 10, length: 100 });
    part.fill(0);
    sameBytes(await store.get('m.bin'), bytes, 'after the caller overwrote what it had got');
    // Node's own kind of bytes, whose slices are views.
    const buffer = Buffer.from(bytes);
    await store.put('m.bin', buffer, { mode: 'replace' });
    buffer.fill(0);
    (await store.get('m.bin')).fill(0);
    sameBytes(await store.get('m.bin'), bytes, 'after the caller overwrote a Buffer that it had put');
  });
}
