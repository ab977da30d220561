import type { ByteRange, Store } from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeyRing, plainSize, SealedStore, sealedSize } from '../src/index.js';
import { pieces, sample } from './support/data.js';

const CHUNK = 65_536;
const ring = KeyRing.create();

/** Sizes about the borders of chunks. */
const size = fc
  .tuple(
    fc.integer({ min: 0, max: 3 }),
    fc.oneof(fc.integer({ min: -2, max: 2 }), fc.integer({ min: 0, max: CHUNK })),
  )
  .map(([chunks, more]) => Math.max(0, chunks * CHUNK + more));

it('gives back what was put, however it was cut, whole and in any range', async () => {
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3 * CHUNK })), {
    minLength: 1,
    maxLength: 5,
  });
  const ranges = fc.array(fc.tuple(size, size), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(size, cuts, ranges, fc.boolean(), async (length, lengths, asked, isNear) => {
      const beneath = new MemoryStore();
      const store = new SealedStore(beneath, { ring });
      const plain = sample(length, length + 1);
      const body = lengths.every((each) => each < 20) && length > CHUNK ? plain : pieces(plain, lengths);
      expect((await store.put('k', body)).size).toBe(length);
      expect((await beneath.stat('k'))?.size).toBe(sealedSize(length));
      // One that wrote it, and one that meets it.
      const reader = isNear ? store : new SealedStore(beneath, { ring });
      for (const [offset, many] of asked) {
        const got = await reader.get('k', { offset, length: many });
        expect(Buffer.compare(got, plain.subarray(offset, offset + many))).toBe(0);
      }
      expect(Buffer.compare(await reader.get('k'), plain)).toBe(0);
    }),
    { numRuns: 60 },
  );
});

it('knows each size in both directions', () => {
  const any = fc.oneof(size, fc.integer({ min: 0, max: 2 ** 45 }));
  fc.assert(fc.property(any, (plain) => plainSize(sealedSize(plain)) === plain));
  for (const sealed of [0, 1, 47, 48, 63, 64]) expect(plainSize(sealed)).toBe(0);
});

it('reads of an object the chunks that a range touches, and its header once', async () => {
  const beneath = new MemoryStore();
  await new SealedStore(beneath, { ring }).put('k', sample(20 * CHUNK));
  const asked: ByteRange[] = [];
  const watched: Store = Object.assign(new MemoryStore({ shareWith: beneath }), {
    get: (key: string, range: ByteRange) => {
      asked.push(range);
      return beneath.get(key, range);
    },
  });
  const store = new SealedStore(watched, { ring });
  await store.get('k', { offset: 10 * CHUNK + 5, length: 10 });
  await store.get('k', { offset: 12 * CHUNK - 1, length: 2 });
  expect(asked.map(({ length }) => length).sort((one, other) => one - other)).toEqual([
    48,
    CHUNK + 17,
    2 * (CHUNK + 16) + 1,
  ]);
});

it('seals a stream as it comes: it asks for no more than it handed on', async () => {
  let produced = 0;
  let taken = 0;
  let widest = 0;
  const body = async function* () {
    for (let i = 0; i < 300; i++) {
      produced += CHUNK;
      widest = Math.max(widest, produced - taken);
      yield sample(CHUNK, i);
    }
  };
  const beneath = Object.assign(new MemoryStore(), {
    async put(key: string, sealed: AsyncIterable<Uint8Array>) {
      for await (const piece of sealed) taken += piece.length;
      return { key, size: taken, modifiedMs: 0 };
    },
  });
  const stat = await new SealedStore(beneath, { ring }).put('k', body());
  expect(stat.size).toBe(300 * CHUNK);
  expect(widest).toBeLessThanOrEqual(3 * CHUNK);
});

it('leaves nothing of what it seals in the store below, and passes on what is not to be sealed', async () => {
  const beneath = new MemoryStore();
  const store = new SealedStore(beneath, { ring, isSealed: (key) => !key.startsWith('locks/') });
  const secret = Buffer.from('the guest keeps this to itself'.repeat(5000));
  await store.put('a', secret);
  await store.put('locks/a', secret);
  expect(Buffer.from(await beneath.get('a')).includes('guest')).toBe(false);
  expect(Buffer.compare(await beneath.get('locks/a'), secret)).toBe(0);
  const sizes: number[] = [];
  for await (const stat of store.list('')) sizes.push(stat.size);
  expect(sizes).toEqual([secret.length, secret.length]);
  await store.put('b', secret);
  const [one, other] = [await beneath.get('a'), await beneath.get('b')];
  expect(Buffer.compare(one.subarray(48, 64), other.subarray(48, 64))).not.toBe(0);
});

it('reads an object that is replaced meanwhile as one or the other', async () => {
  const beneath = new MemoryStore();
  const [writer, reader] = [new SealedStore(beneath, { ring }), new SealedStore(beneath, { ring })];
  const version = (n: number) => new Uint8Array(3 * CHUNK).fill(n);
  await writer.put('k', version(0));
  const range = { offset: 2 * CHUNK, length: CHUNK };
  for (let n = 1; n <= 20; n++) {
    const [got] = await Promise.all([
      reader.get('k', range),
      writer.put('k', version(n), { mode: 'replace' }),
    ]);
    expect([n - 1, n]).toContain(got[0]);
    expect(new Set(got).size).toBe(1);
    expect((await reader.get('k', range))[0]).toBe(n);
  }
});

it('reads what was sealed with an earlier key, and seals with the newest', async () => {
  const beneath = new MemoryStore();
  const later = ring.extended();
  await new SealedStore(beneath, { ring }).put('old', sample(100));
  const store = new SealedStore(beneath, { ring: later });
  await store.put('new', sample(100));
  expect(Buffer.compare(await store.get('old'), sample(100))).toBe(0);
  const before = new SealedStore(beneath, { ring });
  await expect(before.get('new')).rejects.toMatchObject({ code: 'KEY_WRONG' });
  expect(await before.stat('new')).toMatchObject({ size: 100 });
});

it('overwrites its keys when it is closed, and answers no more', async () => {
  const store = new SealedStore(new MemoryStore(), { ring });
  await store.put('k', sample(10));
  store.forget();
  await expect(store.get('k')).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  await expect(store.put('k', sample(10))).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  const own = KeyRing.create();
  const id = own.currentId;
  const key = own.key(id);
  own.wipe();
  expect(key.every((byte) => byte === 0)).toBe(true);
  expect(() => own.key(id)).toThrow('cannot be read');
});
