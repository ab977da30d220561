import assert from 'node:assert/strict';
import { abortError } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import { chunks, listKeys, sameBytes, sampleBytes } from './data.js';
import type { Places } from './place.js';

/** Streamed bodies: long ones, odd ones, and those that fail. */
export function bodyTests(places: Places): void {
  basicBodyTests(places);
  longBodyTests(places);
  failingBodyTests(places);
}

function basicBodyTests(places: Places): void {
  places.test('stores streams of any chunking', async (store) => {
    const bytes = sampleBytes(300_001, 4);
    for (const size of [997, 4096, 65_536, 300_001]) {
      const stat = await store.put(`c/${size}.bin`, chunks(bytes, size));
      assert.equal(stat.size, bytes.length);
      sameBytes(await store.get(`c/${size}.bin`), bytes, `chunks of ${size}`);
    }
    await store.put('c/none.bin', chunks(new Uint8Array(), 10));
    assert.equal((await store.stat('c/none.bin'))?.size, 0);
    async function* withEmpty() {
      yield new Uint8Array();
      yield bytes.subarray(0, 10);
      yield new Uint8Array();
    }
    await store.put('c/empty-chunks.bin', withEmpty());
    sameBytes(await store.get('c/empty-chunks.bin'), bytes.subarray(0, 10), 'empty chunks');
    const withHint = { sizeHint: bytes.length };
    await store.put('c/hint.bin', chunks(bytes, 8_192), withHint);
    sameBytes(await store.get('c/hint.bin'), bytes, 'with a size hint');
  });

  places.test('takes chunks that are views into a larger buffer', async (store) => {
    const large = sampleBytes(50_000, 6);
    await store.put('view.bin', large.subarray(123, 40_123));
    sameBytes(await store.get('view.bin'), large.subarray(123, 40_123), 'a view');
  });
}

function longBodyTests(places: Places): void {
  places.test('stores a large stream, asking for a chunk only when it has taken the last', async (store) => {
    const size = 262_144;
    const total = Math.ceil(places.largeBytes / size);
    let produced = 0;
    let asking = false;
    const body: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        async next() {
          assert.equal(asking, false, 'the store asked for a chunk before it had the one before');
          asking = true;
          await new Promise((resolve) => setImmediate(resolve));
          asking = false;
          if (produced === total) return { done: true, value: undefined };
          return { done: false, value: sampleBytes(size, ++produced) };
        },
      }),
    };
    const stat = await store.put('large.bin', body);
    assert.equal(stat.size, total * size);
    for (const part of [1, 2, Math.ceil(total / 2), total]) {
      const got = await store.get('large.bin', { offset: (part - 1) * size, length: size });
      sameBytes(got, sampleBytes(size, part), `chunk ${part}`);
    }
  });

  places.test('leaves nothing of a body that throws, whenever it does', async (store) => {
    const cause = new Error('the body broke');
    for (const mode of ['absent', 'replace'] as const) {
      for (const good of [0, 1, 3, 40]) {
        async function* failing() {
          for (let i = 0; i < good; i++) yield sampleBytes(65_536, i);
          await new Promise((resolve) => setImmediate(resolve));
          throw cause;
        }
        await assert.rejects(store.put('broken.bin', failing(), { mode }), (error: unknown) => {
          return error === cause || (error as Error).cause === cause;
        });
        assert.equal(await store.stat('broken.bin'), undefined);
        assert.deepEqual(await listKeys(store), []);
      }
    }
    await store.put('broken.bin', sampleBytes(9));
  });
}

function failingBodyTests(places: Places): void {
  places.test('keeps what was there when a replacing body fails', async (store) => {
    const old = sampleBytes(1_000, 7);
    await store.put('kept.bin', old);
    async function* failing() {
      yield sampleBytes(100_000, 8);
      throw new Error('the body broke');
    }
    await assert.rejects(store.put('kept.bin', failing(), { mode: 'replace' }));
    sameBytes(await store.get('kept.bin'), old, 'after a failed replace');
    const controller = new AbortController();
    async function* aborting() {
      yield sampleBytes(100_000, 8);
      controller.abort();
      yield sampleBytes(100_000, 9);
    }
    const options = { mode: 'replace', signal: controller.signal } as const;
    await expectCode(store.put('kept.bin', aborting(), options), 'ABORTED');
    sameBytes(await store.get('kept.bin'), old, 'after an aborted replace');
  });

  places.test('passes on the FitdocError that a body throws', async (store) => {
    const own = abortError(AbortSignal.abort());
    async function* failing() {
      yield sampleBytes(10);
      throw own;
    }
    await expectCode(store.put('own.bin', failing()), 'ABORTED');
    assert.deepEqual(await listKeys(store), []);
  });

  places.test('lets go of the body when the put fails', async (store) => {
    let released = false;
    const controller = new AbortController();
    async function* endless() {
      try {
        // It ends all the same: a store that does not heed the signal is to fail, not to hang.
        for (let i = 0; i < 2_000; i++) {
          if (i === 3) controller.abort();
          yield sampleBytes(1_000, i);
        }
      } finally {
        released = true;
      }
    }
    await expectCode(store.put('endless.bin', endless(), { signal: controller.signal }), 'ABORTED');
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(released, true, 'the generator was told to return');
  });
}
