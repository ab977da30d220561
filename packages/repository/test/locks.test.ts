import { FitdocError, type CallOptions, type ObjectStat } from '@fitdoc/interface';
import { withFaults } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { describe, expect, it } from 'vitest';
import { Repository } from '../src/index.js';
import { content, header, putChain, putSample } from './support/checkpoints.js';
import { FakeClock } from './support/fake-clock.js';

async function place(): Promise<{ clock: FakeClock; store: MemoryStore; open: () => Promise<Repository> }> {
  const clock = new FakeClock();
  const store = new MemoryStore({ now: clock.now });
  await Repository.init(store, { clock });
  return { clock, store, open: () => Repository.open(store, { clock, lockWaitMs: 3_000 }) };
}

async function lockKeys(store: MemoryStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('locks/')) keys.push(key);
  return keys;
}

it('keeps a machine in place while somebody reads it, naming who does', async () => {
  const { open } = await place();
  const [reader, remover] = [await open(), await open()];
  const chain = await putChain(reader, 2);
  const lease = await reader.share('m1', 'restore');
  const refused = remover.delete([chain[1]!]);
  await expect(refused).rejects.toMatchObject({
    code: 'REPOSITORY_LOCKED',
    retryable: true,
    message: expect.stringContaining(`process ${process.pid}`) as string,
    details: {
      purpose: expect.stringMatching(/restore|checkpoint/) as string,
      ageMs: expect.any(Number) as number,
    },
  });
  expect((await remover.checkpoints()).length).toBe(2);
  await putSample(reader, { parent: chain[1]! });
  await lease.release();
  await lease.release();
  await reader.close();
  const fork = (await remover.checkpoints()).at(-1)!;
  expect((await remover.delete([fork])).removed.length).toBe(1);
});

it('does not let other machines wait', async () => {
  const { open } = await place();
  const [reader, remover] = [await open(), await open()];
  await putChain(reader, 1, { machine: 'busy' });
  const chain = await putChain(reader, 2, { machine: 'free' });
  await reader.close();
  const lease = await reader.share('busy', 'restore');
  expect((await remover.delete([chain[1]!])).removed.length).toBe(1);
  await lease.release();
  await reader.close();
});

it('lets go of a lock between checkpoints when somebody waits for it', async () => {
  const { clock, store, open } = await place();
  const [writer, pruner] = [await open(), await open()];
  const chain = await putChain(writer, 3);
  expect((await lockKeys(store)).length).toBe(1);
  const deleting = pruner.delete([chain[2]!], { waitMs: 60_000 });
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(2_000);
  expect((await deleting).removed.length).toBe(1);
  // And the writer goes on.
  await putSample(writer, { parent: chain[1]! });
  await writer.close();
  expect(await lockKeys(store)).toEqual([]);
});

it('refreshes a lock for as long as it is held, and lets an idle one go', async () => {
  const { clock, store, open } = await place();
  const [reader, remover] = [await open(), await open()];
  const chain = await putChain(reader, 2);
  const lease = await reader.share('m1', 'restore');
  await clock.advance(300_000);
  expect(lease.isFresh()).toBe(true);
  await expect(remover.delete([chain[1]!])).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
  await lease.release();
  await clock.advance(20_000);
  expect(await lockKeys(store)).toEqual([]);
});

it('takes over from who stopped refreshing, and who did learns that it lost', async () => {
  const { clock, store, open } = await place();
  const [reader, remover] = [await open(), await open()];
  const chain = await putChain(reader, 2);
  const lease = await reader.share('m1', 'restore');
  clock.jump(61_000);
  expect((await remover.delete([chain[1]!])).removed.length).toBe(1);
  expect(lease.isFresh()).toBe(false);
  expect(() => lease.assertFresh()).toThrow(expect.objectContaining({ code: 'REPOSITORY_LOCKED' }));
  await clock.advance(5_000);
  expect(await lockKeys(store), 'a lost lock is not written again').toEqual([]);
  await lease.release();
});

it('undoes a checkpoint whose parent was removed while its writer stood still', async () => {
  const { clock, open } = await place();
  const [writer, remover] = [await open(), await open()];
  const chain = await putChain(writer, 2);
  async function* slow() {
    yield* content();
    clock.jump(61_000);
    expect((await remover.delete([chain[1]!])).removed.length).toBe(1);
  }
  const put = writer.put(header({ parent: chain[1]! }), slow());
  await expect(put).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
  expect((await remover.checkpoints()).map(({ id }) => id)).toEqual([chain[0]!.id]);
});

it('removes at once the lock of a process of this host that has ended', async () => {
  const { store, open } = await place();
  const one = await open();
  const chain = await putChain(one, 2);
  const key = (await lockKeys(store))[0]!;
  const record = JSON.parse(new TextDecoder().decode(await store.get(key))) as {
    owner: { startedAt: string };
  };
  expect(record.owner).toMatchObject({ pid: process.pid });
  // The same pid, but started at another time: that process is gone.
  record.owner.startedAt = '1';
  await store.put(key, new TextEncoder().encode(JSON.stringify(record)), { mode: 'replace' });
  const other = await open();
  expect((await other.delete([chain[1]!])).removed.length).toBe(1);
  await one.close();
});

it('lists and breaks locks, unreadable ones too', async () => {
  const { store, open } = await place();
  const repository = await open();
  const chain = await putChain(repository, 2);
  await repository.close();
  await store.put('locks/shared/m1/ffff.json', new TextEncoder().encode('not json'));
  await expect(repository.delete([chain[1]!])).rejects.toMatchObject({
    code: 'REPOSITORY_LOCKED',
    message: expect.stringContaining('someone unknown') as string,
  });
  const locks = await repository.locks();
  expect(locks.map(({ kind, record }) => [kind, record])).toEqual([['shared', undefined]]);
  await repository.breakLock(locks[0]!);
  expect((await repository.delete([chain[1]!])).removed.length).toBe(1);
});

it('lets only one of two removers at a machine, and both get through', async () => {
  const { open } = await place();
  const writer = await open();
  const chain = await putChain(writer, 12);
  await writer.close();
  const removers = await Promise.all(Array.from({ length: 4 }, () => open()));
  const reports = await Promise.all(
    removers.map((remover, i) =>
      remover.delete(chain.slice(9 - 3 * i, 12 - 3 * i), { waitMs: 9_999_999, descendants: true }),
    ),
  );
  const removed = reports.flatMap((report) => report.removed.map((entry) => entry.key));
  expect(removed.length).toBe(12);
  expect(new Set(removed).size).toBe(12);
});

it('reads a store that it may not write without a lock, and prunes one that is full', async () => {
  const { clock, store, open } = await place();
  const writer = await open();
  const chain = await putChain(writer, 3);
  await writer.close();
  const refusing = (code: string) =>
    Object.assign(Object.create(store) as MemoryStore, {
      get: store.get.bind(store),
      list: store.list.bind(store),
      delete: store.delete.bind(store),
      stat: store.stat.bind(store),
      put: async () => {
        const { FitdocError } = await import('@fitdoc/interface');
        throw new FitdocError(code as 'STORE_FULL', 'no');
      },
    });
  const reader = await Repository.open(refusing('STORE_DENIED'), { clock });
  const lease = await reader.share('m1', 'restore');
  lease.assertFresh();
  await lease.release();
  await expect(reader.delete([chain[2]!])).rejects.toMatchObject({ code: 'STORE_DENIED' });
  const full = await Repository.open(refusing('STORE_FULL'), { clock });
  expect((await full.delete([chain[2]!])).removed.length).toBe(1);
});

it('reads a full store without a lock, and writes it only with one', async () => {
  const { clock, store, open } = await place();
  const writer = await open();
  const [base] = await putChain(writer, 1);
  await writer.close();
  let isFull = true;
  const sometimesFull = Object.assign(Object.create(store) as MemoryStore, {
    get: store.get.bind(store),
    list: store.list.bind(store),
    delete: store.delete.bind(store),
    stat: store.stat.bind(store),
    put: async (...args: Parameters<MemoryStore['put']>) => {
      if (isFull) throw new FitdocError('STORE_FULL', 'no room');
      return store.put(...args);
    },
  });
  const repository = await Repository.open(sometimesFull, { clock });
  await expect(repository.share('m1', 'restore')).rejects.toMatchObject({ code: 'STORE_FULL' });
  const first = await repository.share('m1', 'restore', { evenIfFull: true });
  const second = await repository.share('m1', 'restore', { evenIfFull: true });
  first.assertFresh();
  await expect(putSample(repository, { parent: base! })).rejects.toMatchObject({ code: 'STORE_FULL' });
  isFull = false;
  expect(await lockKeys(store)).toEqual([]);
  // A reader without a lock is no protection for a writer: it takes its own, at once.
  await putSample(repository, { parent: base! });
  expect(await lockKeys(store)).toHaveLength(1);
  await first.release();
  await second.release();
  expect(await lockKeys(store)).toHaveLength(1);
  await repository.close();
  const third = await repository.share('m1', 'restore', { evenIfFull: true });
  expect(await lockKeys(store)).toHaveLength(1);
  await third.release();
  await repository.close();
});

it('lets checkpoints pass a removal that waits for a restore, in one process', async () => {
  const { open } = await place();
  const repository = await open();
  const chain = await putChain(repository, 2);
  const fork = await putSample(repository, { parent: chain[0]! });
  const lease = await repository.share('m1', 'restore');
  const deleting = repository.delete([fork], { waitMs: 99_999, signal: AbortSignal.timeout(100) });
  await putSample(repository, { parent: chain[1]! });
  await expect(deleting).rejects.toMatchObject({ code: 'ABORTED' });
  await expect(repository.delete([fork])).rejects.toMatchObject({
    code: 'REPOSITORY_LOCKED',
    message: expect.stringContaining('by this process') as string,
  });
  await lease.release();
  await putSample(repository, { parent: chain[1]! });
  expect((await repository.delete([fork])).removed.map(({ key }) => key)).toEqual([fork.key]);
});

/** A store whose answers about locks come when they are let go. */
class Slow extends MemoryStore {
  waiting = 0;
  letGo!: () => void;
  readonly #let = new Promise<void>((resolve) => (this.letGo = resolve));

  override async stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined> {
    const stat = await super.stat(key, options);
    if (!key.startsWith('locks/')) return stat;
    this.waiting++;
    await this.#let;
    return stat;
  }
}

describe('a lock that is let go', () => {
  it('is not brought back by a refresh that was under way', async () => {
    const clock = new FakeClock();
    const store = new Slow({ now: clock.now });
    await Repository.init(store, { clock });
    const repository = await Repository.open(store, { clock });
    const lease = await repository.merging('m1');
    await clock.advance(20_000);
    expect(store.waiting).toBe(1);
    const released = lease.release();
    store.letGo();
    await released;
    await repository.close();
    expect(await lockKeys(store)).toEqual([]);
  });

  it('holds off nobody here although the store did not remove it', async () => {
    const { clock, store } = await place();
    let fails = true;
    const failing = withFaults(store, ({ operation, key }) => {
      if (!fails || operation !== 'delete' || !key.startsWith('locks/')) return undefined;
      return { error: new FitdocError('STORE_UNAVAILABLE', 'Not now.', { retryable: true }) };
    });
    const repository = await Repository.open(failing, { clock });
    await (await repository.merging('m1')).release();
    expect((await lockKeys(store)).length).toBe(1);
    fails = false;
    const lease = await repository.merging('m1', { waitMs: 0 });
    expect((await lockKeys(store)).length).toBe(1);
    await lease.release();
    await repository.close();
    expect(await lockKeys(store)).toEqual([]);
  });
});
