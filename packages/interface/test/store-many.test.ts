import { expect, it } from 'vitest';
import { deleteAll, FitdocError, listAfter, type Store } from '../src/index.js';

/** A store as they were before the port had `startAfter` and `deleteMany`. */
function olderStore(keys: Set<string>): Store {
  const unused = () => Promise.reject(new Error('not asked for'));
  return {
    specificationVersion: 'store-v1',
    supports: { conditionalPut: true, durable: false },
    location: 'older:',
    put: unused,
    get: unused,
    stat: unused,
    async *list(prefix) {
      for (const key of [...keys].filter((name) => name.startsWith(prefix)).sort())
        yield { key, size: 1, modifiedMs: 0 };
    },
    async delete(key) {
      if (key === 'x/kept') throw new FitdocError('STORE_DENIED', 'No.');
      if (key === 'x/closing') throw new FitdocError('STORE_CLOSED', 'Closed.');
      keys.delete(key);
    },
    close: () => Promise.resolve(),
  };
}

async function keysAfter(store: Store, startAfter: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of listAfter(store, 'x/', startAfter)) found.push(key);
  return found;
}

it('lists behind a key over a store that lists everything', async () => {
  const store = olderStore(new Set(['a', 'x/1', 'x/2', 'x/3', 'y']));
  expect(await keysAfter(store, 'x/1')).toEqual(['x/2', 'x/3']);
  expect(await keysAfter(store, '')).toEqual(['x/1', 'x/2', 'x/3']);
  expect(await keysAfter(store, 'x/9')).toEqual([]);
});

it('deletes one by one over a store that cannot delete many, and says what stays', async () => {
  const keys = new Set(['x/1', 'x/kept', 'x/2', 'x/closing']);
  const failures = await deleteAll(olderStore(keys), ['x/1', 'x/kept', 'x/2']);
  expect(failures).toMatchObject([{ key: 'x/kept', error: { code: 'STORE_DENIED' } }]);
  expect([...keys]).toEqual(['x/kept', 'x/closing']);
  await expect(deleteAll(olderStore(keys), ['x/closing', 'x/kept'])).rejects.toMatchObject({
    code: 'STORE_CLOSED',
  });
  await expect(deleteAll(olderStore(keys), ['x/1'], { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'ABORTED',
  });
});
