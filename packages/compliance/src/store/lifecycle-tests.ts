import assert from 'node:assert/strict';
import { FitdocError, isFitdocError, type Store } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import { listAll, listKeys, sameBytes, sampleBytes } from './data.js';
import type { Places } from './place.js';

async function drain(store: Store, signal?: AbortSignal): Promise<void> {
  for await (const _ of store.list('', signal ? { signal } : {}));
}

/** What the store says of itself, cancelling, and closing. */
export function lifecycleTests(places: Places): void {
  basicLifecycleTests(places);
  cancelTests(places);
  closeTests(places);
}

function basicLifecycleTests(places: Places): void {
  places.test('says what it is', async (store) => {
    assert.equal(store.specificationVersion, 'store-v1');
    assert.equal(typeof store.supports.conditionalPut, 'boolean');
    assert.equal(typeof store.supports.durable, 'boolean');
    assert.ok(Object.isFrozen(store.supports), 'supports is frozen');
    assert.ok(store.location.length > 0, 'a location for messages');
  });

  places.test('rejects with ABORTED when the signal is aborted already, and does nothing', async (store) => {
    await store.put('there.bin', sampleBytes(5));
    const signal = AbortSignal.abort();
    await expectCode(() => store.put('new.bin', sampleBytes(5), { signal }), 'ABORTED');
    await expectCode(() => store.put('there.bin', sampleBytes(6), { signal, mode: 'replace' }), 'ABORTED');
    await expectCode(() => store.get('there.bin', undefined, { signal }), 'ABORTED');
    await expectCode(() => store.stat('there.bin', { signal }), 'ABORTED');
    await expectCode(() => store.delete('there.bin', { signal }), 'ABORTED');
    await expectCode(() => drain(store, signal), 'ABORTED');
    assert.deepEqual(
      (await listAll(store)).map(({ key, size }) => [key, size]),
      [['there.bin', 5]],
    );
  });

  places.test('passes on an abort reason that is a FitdocError', async (store) => {
    const reason = new FitdocError('STORE_UNAVAILABLE', 'The caller ran out of patience.');
    const error = await expectCode(
      () => store.get('x', undefined, { signal: AbortSignal.abort(reason) }),
      'STORE_UNAVAILABLE',
    );
    assert.equal(error, reason);
  });
}

function cancelTests(places: Places): void {
  places.test('cancels a put whose body never gives another chunk', async (store) => {
    const controller = new AbortController();
    async function* stuck() {
      yield sampleBytes(100_000);
      await new Promise(() => undefined);
    }
    const put = store.put('stuck.bin', stuck(), { signal: controller.signal });
    setTimeout(() => controller.abort(), 30);
    await expectCode(put, 'ABORTED');
    assert.deepEqual(await listKeys(store), []);
  });

  places.test('cancels a listing between two objects', async (store) => {
    for (const key of ['a', 'b', 'c']) await store.put(key, sampleBytes(1));
    const controller = new AbortController();
    const seen: string[] = [];
    await expectCode(async () => {
      for await (const { key } of store.list('', { signal: controller.signal })) {
        seen.push(key);
        controller.abort();
      }
    }, 'ABORTED');
    assert.deepEqual(seen, ['a']);
  });

  places.test('either stores all or nothing when aborted at any moment', async (store) => {
    for (let delay = 0; delay < 12; delay++) {
      const controller = new AbortController();
      const key = `moment/${delay}.bin`;
      const put = store.put(key, sampleBytes(400_000, delay), { signal: controller.signal });
      setTimeout(() => controller.abort(), delay);
      const outcome = await put.then(
        () => 'stored',
        (error: unknown) => (isFitdocError(error, 'ABORTED') ? 'aborted' : Promise.reject(error as Error)),
      );
      if (outcome === 'stored') sameBytes(await store.get(key), sampleBytes(400_000, delay), key);
      else assert.equal(await store.stat(key), undefined);
    }
  });
}

function closeTests(places: Places): void {
  places.test('rejects every call after close, which may be repeated', async (store) => {
    await store.put('a.bin', sampleBytes(5));
    await store.close();
    await store.close();
    await expectCode(() => store.put('b.bin', sampleBytes(5)), 'STORE_CLOSED');
    await expectCode(() => store.put('a.bin', sampleBytes(5), { mode: 'replace' }), 'STORE_CLOSED');
    await expectCode(() => store.get('a.bin'), 'STORE_CLOSED');
    await expectCode(() => store.get('a.bin', { offset: 0, length: 1 }), 'STORE_CLOSED');
    await expectCode(() => store.stat('a.bin'), 'STORE_CLOSED');
    await expectCode(() => store.delete('a.bin'), 'STORE_CLOSED');
    if (store.deleteMany) await expectCode(() => store.deleteMany!(['a.bin']), 'STORE_CLOSED');
    await expectCode(() => drain(store), 'STORE_CLOSED');
  });

  places.test('lets calls in flight finish, or rejects them, when it is closed', async (store, place) => {
    const calls = Array.from({ length: 10 }, (_, i) => store.put(`f/${i}.bin`, sampleBytes(50_000, i)));
    const settled = Promise.allSettled(calls);
    await store.close();
    const results = await settled;
    for (const result of results) {
      if (result.status === 'rejected') assert.ok(isFitdocError(result.reason, 'STORE_CLOSED'));
    }
    if (!place.another) return;
    const again = await place.another();
    try {
      for (const [i, result] of results.entries()) {
        if (result.status === 'fulfilled')
          sameBytes(await again.get(`f/${i}.bin`), sampleBytes(50_000, i), 'kept');
        else assert.equal(await again.stat(`f/${i}.bin`), undefined);
      }
    } finally {
      await again.close();
    }
  });
}
