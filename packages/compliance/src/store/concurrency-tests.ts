import assert from 'node:assert/strict';
import type { Store } from '@fitdoc/interface';
import { isFitdocError } from '@fitdoc/interface';
import { chunks, listKeys, sameBytes, sampleBytes } from './data.js';
import type { Places } from './place.js';

/** Puts to the key from every store at once; gives the indices of those that were acknowledged. */
async function race(stores: readonly Store[], key: string, contenders: number): Promise<number[]> {
  const attempts = Array.from({ length: contenders }, (_, index) => {
    const store = stores[index % stores.length]!;
    const bytes = sampleBytes(2_000 + index, index);
    return store.put(key, index % 2 === 0 ? bytes : chunks(bytes, 512));
  });
  const winners: number[] = [];
  for (const [index, result] of (await Promise.allSettled(attempts)).entries()) {
    if (result.status === 'fulfilled') winners.push(index);
    else assert.ok(isFitdocError(result.reason, 'STORE_EXISTS'), `a loser got ${String(result.reason)}`);
  }
  return winners;
}

async function checkRace(stores: readonly Store[], contenders: number): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const key = `race/${round}.bin`;
    const winners = await race(stores, key, contenders);
    const got = await stores[0]!.get(key);
    const held = got.length - 2_000;
    sameBytes(got, sampleBytes(got.length, held), 'the object is one contender, whole');
    assert.ok(winners.includes(held), 'the object is one that was acknowledged');
    if (stores[0]!.supports.conditionalPut) assert.equal(winners.length, 1, 'exactly one put wins');
  }
}

/** Many calls at once. */
export function concurrencyTests(places: Places): void {
  const many = places.parallel;

  places.test(`takes ${many} puts, gets and deletes at once`, async (store) => {
    const keys = Array.from({ length: many }, (_, i) => `p/${i % 10}/${i}.bin`);
    await Promise.all(
      keys.map((key, i) => {
        const bytes = sampleBytes(i * 37, i);
        return store.put(key, i % 2 === 0 ? bytes : chunks(bytes, 1_000));
      }),
    );
    await Promise.all(
      keys.map(async (key, i) => sameBytes(await store.get(key), sampleBytes(i * 37, i), key)),
    );
    assert.deepEqual(await listKeys(store, 'p/'), [...keys].sort());
    await Promise.all(keys.map((key) => store.delete(key)));
    assert.deepEqual(await listKeys(store), []);
  });

  places.test('lets exactly one of racing puts win', async (store) => {
    await checkRace([store], Math.min(many, 25));
  });

  places.test('lets exactly one of racing puts win, over several handles', async (store, place) => {
    if (!place.another) return;
    const others = [await place.another(), await place.another()];
    try {
      await checkRace([store, ...others], Math.min(many, 25));
      await store.put('seen.bin', sampleBytes(5));
      sameBytes(await others[0]!.get('seen.bin'), sampleBytes(5), 'another handle sees it at once');
    } finally {
      for (const other of others) await other.close();
    }
  });

  places.test('replaces atomically: a reader sees the old or the new, whole', async (store) => {
    const size = 100_000;
    const version = (n: number) => new Uint8Array(size).fill(n);
    await store.put('live.bin', version(0));
    let writing = true;
    const writer = (async () => {
      for (let n = 1; n <= 20; n++) await store.put('live.bin', version(n), { mode: 'replace' });
      writing = false;
    })();
    let last = 0;
    while (writing) {
      const got = await store.get('live.bin');
      sameBytes(got, version(got[0]!), 'a version, whole');
      assert.ok(got[0]! >= last, 'never an older version after a newer');
      last = got[0]!;
      assert.equal((await store.stat('live.bin'))?.size, size);
    }
    await writer;
    sameBytes(await store.get('live.bin'), version(20), 'the last version');
  });
}
