import { MemoryStore } from '@fitdoc/store-memory';
import { expect, it } from 'vitest';
import { Repository, type CheckpointEntry } from '../src/index.js';
import { content, header, putChain, putSample } from './support/checkpoints.js';
import { FakeClock } from './support/fake-clock.js';

async function place(): Promise<{ clock: FakeClock; store: MemoryStore; open: () => Promise<Repository> }> {
  const clock = new FakeClock();
  const store = new MemoryStore({ now: clock.now });
  await Repository.init(store, { clock });
  return { clock, store, open: () => Repository.open(store, { clock, lockWaitMs: 3_000 }) };
}

async function locksOf(store: MemoryStore, kind: string): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  for await (const { key } of store.list(`locks/${kind}/`)) {
    found.push(JSON.parse(new TextDecoder().decode(await store.get(key))) as Record<string, unknown>);
  }
  return found;
}

const keysOf = (entries: readonly { readonly key: string }[]): string[] => entries.map(({ key }) => key);

it('removes all that no lease names, while a restore of hours goes on', async () => {
  const { clock, open } = await place();
  const [reader, remover] = [await open(), await open()];
  const chain = await putChain(reader, 3);
  const fork = await putChain(reader, 2, { parent: chain[0]! });
  await reader.close();
  const lease = await reader.hold(chain, 'restore');
  await clock.advance(4 * 3_600_000);
  expect(lease.isFresh()).toBe(true);
  const { removed } = await remover.delete(fork);
  expect(keysOf(removed)).toEqual(keysOf([fork[1]!, fork[0]!]));
  await expect(remover.delete([chain[2]!])).rejects.toMatchObject({
    code: 'REPOSITORY_LOCKED',
    details: { purpose: 'restore' },
  });
  await lease.release();
  expect(keysOf((await remover.delete([chain[2]!])).removed)).toEqual([chain[2]!.key]);
  await reader.close();
});

it('lets a writer go on with what a removal does not take, in this process and in others', async () => {
  const { open } = await place();
  const [writer, remover] = [await open(), await open()];
  const chain = await putChain(writer, 3);
  const old = await putSample(writer, { parent: chain[0]! });
  await writer.close();
  for (const by of [writer, remover]) {
    let head: CheckpointEntry = await putSample(writer, { parent: chain[2]! });
    const doomed = await putSample(writer, { parent: old, sequence: 2 });
    await writer.close();
    async function* slow() {
      yield* content();
      expect(keysOf((await by.delete([doomed])).removed)).toEqual([doomed.key]);
    }
    head = await writer.put(header({ parent: head }), slow());
    expect((await by.chain(head)).length).toBe(5);
  }
  await writer.close();
});

it('never takes what a checkpoint under way stands on, in this process and in others', async () => {
  const { open } = await place();
  const [writer, remover] = [await open(), await open()];
  let head = (await putChain(writer, 2))[1]!;
  for (const by of [writer, remover]) {
    const parent = head;
    async function* slow() {
      yield* content();
      await expect(by.delete([parent])).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
    }
    head = await writer.put(header({ parent }), slow());
    expect((await by.delete([parent])).removed).toEqual([]);
  }
  await writer.close();
});

it('sees what a removal has announced: a lease on it waits, and so does a child', async () => {
  const { store, open } = await place();
  const [reader, remover] = [await open(), await open()];
  const chain = await putChain(remover, 3);
  await remover.close();
  const taken: string[] = [];
  const original = store.delete.bind(store);
  store.delete = async (key, options) => {
    if (key === chain[2]!.key) {
      expect(await locksOf(store, 'exclusive')).toMatchObject([{ removes: [expect.stringMatching(/^2 /)] }]);
      await expect(reader.hold([chain[2]!], 'restore', { waitMs: 200 })).rejects.toMatchObject({
        code: 'REPOSITORY_LOCKED',
        details: { purpose: 'delete' },
      });
      await expect(putSample(reader, { parent: chain[2]!, waitMs: 200 })).rejects.toMatchObject({
        code: 'REPOSITORY_LOCKED',
      });
      // Everything else is at anybody's hand.
      await (await reader.hold(chain.slice(0, 2), 'restore')).release();
      taken.push((await putSample(reader, { parent: chain[1]!, sequence: 2 })).key);
      await reader.close();
    }
    return original(key, options);
  };
  expect(keysOf((await remover.delete([chain[2]!])).removed)).toEqual([chain[2]!.key]);
  expect(taken.length).toBe(1);
  await expect(putSample(reader, { parent: chain[2]! })).rejects.toMatchObject({
    code: 'CHECKPOINT_NOT_FOUND',
  });
});

it('keeps a checkpoint that got a child between the plan and the announcement', async () => {
  const { store, open } = await place();
  const [writer, remover] = [await open(), await open()];
  const chain = await putChain(writer, 2);
  await writer.close();
  const original = store.put.bind(store);
  let child: CheckpointEntry | undefined;
  store.put = async (key, body, options) => {
    if (key.startsWith('locks/exclusive/') && options?.mode === 'replace' && !child) {
      child = await putSample(writer, { parent: chain[1]! });
      await writer.close();
    }
    return original(key, body, options);
  };
  const report = await remover.delete([chain[1]!]);
  expect(report.removed).toEqual([]);
  expect((await remover.chain(child!)).length).toBe(3);
});

it('shows where its writer stands to who removes, so that what is behind it can go', async () => {
  const { clock, store, open } = await place();
  const [writer, remover] = [await open(), await open()];
  const chain = await putChain(writer, 3);
  expect(await locksOf(store, 'shared')).toMatchObject([{ holds: { from: 0 } }]);
  const deleting = remover.prune({ keepLast: 1 }, { waitMs: 60_000 });
  await deleting;
  const gone = remover.delete([chain[2]!], { waitMs: 60_000 });
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(2_000);
  expect((await gone).removed.length).toBe(1);
  await writer.close();
});

it.each([
  ['shared', 'locks/shared/m1/old.json'],
  ['exclusive', 'locks/exclusive/_all/old.json'],
])('is kept apart from a program that names nothing in its %s lock', async (_kind, key) => {
  const { store, open } = await place();
  const repository = await open();
  const chain = await putChain(repository, 2);
  await repository.close();
  const record = {
    purpose: 'older',
    createdAtMs: 0,
    ttlMs: 60_000,
    owner: { host: 'else', pid: 1, scope: '', startedAt: '1', instance: 'ff' },
  };
  await store.put(key, new TextEncoder().encode(JSON.stringify(record)));
  const locked = { code: 'REPOSITORY_LOCKED', details: { purpose: 'older' } };
  await expect(repository.delete([chain[1]!])).rejects.toMatchObject(locked);
  if (key.includes('exclusive')) {
    await expect(repository.hold(chain, 'restore', { waitMs: 300 })).rejects.toMatchObject(locked);
    await expect(putSample(repository, { parent: chain[1]!, waitMs: 300 })).rejects.toMatchObject(locked);
  } else {
    await putSample(repository, { parent: chain[1]! });
  }
  await repository.close();
});
