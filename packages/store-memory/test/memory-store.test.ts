import { expect, it } from 'vitest';
import { forgetMemoryStores, MemoryStore, storeFactory } from '../src/index.js';

it('refuses what exceeds its capacity, and keeps what it has', async () => {
  const store = new MemoryStore({ capacityBytes: 100 });
  await store.put('a', new Uint8Array(60));
  await expect(store.put('b', new Uint8Array(41))).rejects.toMatchObject({ code: 'STORE_FULL' });
  let asked = 0;
  async function* endless() {
    for (;;) {
      asked++;
      yield new Uint8Array(10);
    }
  }
  await expect(store.put('b', endless())).rejects.toMatchObject({ code: 'STORE_FULL' });
  expect(asked).toBeLessThan(7);
  await store.put('a', new Uint8Array(100), { mode: 'replace' });
  await store.delete('a');
  await store.put('b', new Uint8Array(100));
});

it('refuses ranges that are none', async () => {
  const store = new MemoryStore();
  await store.put('a', new Uint8Array(10));
  for (const range of [
    { offset: -1, length: 2 },
    { offset: 0, length: -2 },
    { offset: 0.5, length: 2 },
    { offset: 0, length: NaN },
  ]) {
    await expect(store.get('a', range)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  }
});

it('opens named places that handles share', async () => {
  await expect(storeFactory.open('place')).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
  const one = await storeFactory.open('place', { create: true });
  const two = await storeFactory.open('place');
  await one.put('a', new Uint8Array([7]));
  expect(await two.get('a')).toEqual(new Uint8Array([7]));
  await one.close();
  expect((await two.stat('a'))?.size).toBe(1);
  expect(two.location).toBe('memory:place');
  forgetMemoryStores();
  await expect(storeFactory.open('place')).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
});

it('gives unnamed places to one opener each, with the capacity asked for', async () => {
  const one = await storeFactory.open('', { config: { capacityBytes: 5 } });
  const two = await storeFactory.open('');
  await expect(one.put('a', new Uint8Array(6))).rejects.toMatchObject({ code: 'STORE_FULL' });
  await two.put('a', new Uint8Array(6));
  expect(await one.stat('a')).toBeUndefined();
});
