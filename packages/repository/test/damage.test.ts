import { FitdocError } from '@fitdoc/interface';
import { withFaults } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { describe, expect, it } from 'vitest';
import { copyCheckpoints, Repository, type CheckpointEntry } from '../src/index.js';
import { putChain } from './support/checkpoints.js';

/** Ways in which an object is lost; what is left of it. */
const WAYS: readonly [string, (bytes: Uint8Array) => Uint8Array | undefined][] = [
  ['missing', () => undefined],
  ['cut off', (bytes) => bytes.slice(0, -20)],
  ['empty', () => new Uint8Array()],
  ['garbage', (bytes) => bytes.map((_, index) => (index * 37) & 0xff)],
];

/** A chain that a process has put which has ended since. */
async function stored(store: MemoryStore, length: number): Promise<CheckpointEntry[]> {
  const repository = await Repository.init(store);
  const chain = await putChain(repository, length);
  await repository.close();
  return chain;
}

async function spoil(
  store: MemoryStore,
  key: string,
  way: (bytes: Uint8Array) => Uint8Array | undefined,
): Promise<void> {
  const left = way(await store.get(key));
  if (left) await store.put(key, left, { mode: 'replace' });
  else await store.delete(key);
}

describe.each(WAYS)('a chain with an object that is %s', (name, way) => {
  const gone = name === 'missing';

  it('is whole up to it, and says which object it is that the rest needs', async () => {
    const store = new MemoryStore();
    const chain = await stored(store, 5);
    await spoil(store, chain[2]!.key, way);
    const repository = await Repository.open(store);
    expect(await repository.chain(chain[1]!)).toHaveLength(2);
    await expect(repository.chain(chain[4]!)).rejects.toMatchObject({
      code: 'REPOSITORY_DAMAGED',
      message: expect.stringContaining(gone ? chain[2]!.id.slice(0, 12) : chain[2]!.key) as string,
      details: { missingParentId: chain[2]!.id, ...(!gone && { key: chain[2]!.key }) },
    });
  });

  it('loses it by its key', async () => {
    const store = new MemoryStore();
    const chain = await stored(store, 3);
    await spoil(store, chain[1]!.key, way);
    const repository = await Repository.open(store);
    if (gone) {
      await expect(repository.find(chain[1]!.key)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
      return;
    }
    const [damaged] = (await repository.list()).filter((entry) => entry.damaged !== undefined);
    const found = await repository.find(damaged!.key);
    expect((await repository.delete([found])).removed).toEqual([damaged]);
    expect(await repository.list()).toHaveLength(2);
    // A key names what is whole, too.
    expect(await repository.find(chain[0]!.key)).toMatchObject({ id: chain[0]!.id });
  });

  it('is healed by a copy from a good repository', async () => {
    const [good, bad] = [new MemoryStore(), new MemoryStore()];
    const from = await Repository.init(good);
    const chain = await putChain(from, 4);
    const to = await Repository.init(bad);
    await copyCheckpoints(from, to, chain);
    await spoil(bad, chain[2]!.key, way);
    const report = await copyCheckpoints(from, await Repository.open(bad), chain);
    expect(report.copied.map(({ id }) => id)).toEqual([chain[2]!.id]);
    expect(report.healed).toHaveLength(gone ? 0 : 1);
    const healed = await Repository.open(bad);
    expect(await healed.chain(chain[3]!)).toHaveLength(4);
    expect((await healed.list()).filter((entry) => entry.damaged !== undefined)).toEqual([]);
  });
});

it('damage that no list shows is healed when the copy is asked to look for it', async () => {
  const [good, bad] = [new MemoryStore(), new MemoryStore()];
  const from = await Repository.init(good);
  const chain = await putChain(from, 3);
  const to = await Repository.init(bad);
  await copyCheckpoints(from, to, chain);
  const bytes = await bad.get(chain[1]!.key);
  bytes[60]! ^= 1;
  await bad.put(chain[1]!.key, bytes, { mode: 'replace' });
  expect((await copyCheckpoints(from, to, chain)).copied).toEqual([]);
  const report = await copyCheckpoints(from, to, chain, { heal: true });
  expect(report.healed.map(({ id }) => id)).toEqual([chain[1]!.id]);
  expect(await bad.get(chain[1]!.key)).toEqual(await good.get(chain[1]!.key));
});

it('a copy that is to heal never puts a damaged object over a damaged one', async () => {
  const [good, bad] = [new MemoryStore(), new MemoryStore()];
  const from = await Repository.init(good);
  const chain = await putChain(from, 4);
  const to = await Repository.init(bad);
  await copyCheckpoints(from, to, chain.slice(0, 2));
  for (const store of [good, bad]) {
    const bytes = await store.get(chain[1]!.key);
    bytes[60]! ^= store === good ? 1 : 2;
    await store.put(chain[1]!.key, bytes, { mode: 'replace' });
  }
  const before = await bad.get(chain[1]!.key);
  const report = await copyCheckpoints(from, to, chain, { heal: true, skipDamaged: true });
  expect(report.present.map(({ id }) => id)).toEqual([chain[0]!.id]);
  // What builds on it is left out with it: nothing is stored that could not be restored.
  expect(report.damaged.map(({ entry }) => entry.id)).toEqual(chain.slice(1).map(({ id }) => id));
  expect(report.copied).toEqual([]);
  expect(await bad.get(chain[1]!.key)).toEqual(before);
});

it('a place that cannot be had is left, and the good object put beside it', async () => {
  const [good, bad] = [new MemoryStore(), new MemoryStore()];
  const from = await Repository.init(good);
  const chain = await putChain(from, 2);
  const refusing = withFaults(bad, ({ operation, key }) =>
    operation === 'put' && key === chain[1]!.key
      ? { error: new FitdocError('STORE_UNAVAILABLE', 'It is a directory.') }
      : undefined,
  );
  const to = await Repository.init(refusing);
  await copyCheckpoints(from, to, chain);
  const there = await (await Repository.open(bad)).checkpoints();
  expect(there.map(({ id }) => id)).toEqual(chain.map(({ id }) => id));
  expect(there[1]!.key).not.toBe(chain[1]!.key);
});

describe.each([
  ['that may not be read', new FitdocError('STORE_DENIED', 'EACCES')],
  ['that the disk fails to give', new FitdocError('STORE_UNAVAILABLE', 'EIO', { details: { errno: 'EIO' } })],
])('an object %s', (_name, error) => {
  it('is not taken for damaged: others go on, and nothing is removed on the strength of it', async () => {
    const store = new MemoryStore();
    const chain = await stored(store, 4);
    let withheld = chain[1]!.key;
    const barred = withFaults(store, ({ operation, key }) =>
      operation === 'get' && key === withheld ? { error } : undefined,
    );
    const repository = await Repository.open(barred);
    expect((await repository.list()).map(({ damaged }) => damaged?.code)).toEqual([
      ...[undefined, error.code, undefined, undefined],
    ]);
    expect(await repository.chain(chain[0]!)).toHaveLength(1);
    await expect(repository.chain(chain[3]!)).rejects.toMatchObject({
      code: error.code,
      details: { key: withheld },
    });
    // Without it nobody knows that 0 is what 3 stands on.
    await expect(repository.prune({ keepLast: 1 })).rejects.toMatchObject({ code: error.code });
    await expect(repository.delete([chain[0]!])).rejects.toMatchObject({ code: error.code });
    expect(await (await Repository.open(store)).checkpoints()).toHaveLength(4);
    withheld = '';
    expect(await repository.chain(chain[3]!)).toHaveLength(4);
  });

  it('among others that cannot be read either is a store that cannot', async () => {
    const store = new MemoryStore();
    await stored(store, 3);
    const barred = withFaults(store, ({ operation, key }) =>
      operation === 'get' && key.endsWith('.fitdoc') ? { error } : undefined,
    );
    const repository = await Repository.open(barred);
    await expect(repository.list()).rejects.toMatchObject({ code: error.code });
  });
});
