import { PAGE_SIZE, totalPages, type Hypervisor, type RestoreSource, type Store } from '@fitdoc/interface';
import { CheckpointSource, restore } from '@fitdoc/engine';
import { copyCheckpoints, Repository } from '@fitdoc/repository';
import { MemoryStore } from '@fitdoc/store-memory';
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { setUp, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

/** So many checkpoints of a mock machine, and the newest of them. */
async function checkpointsOf(query: string, count: number) {
  const { engine, repository, store, machine } = (setup = await setUp(query));
  const protection = await engine.protect(machine, repository);
  for (let i = 0; i < count; i++) await protection.checkpoint();
  await protection.end();
  return { engine, repository, store, entry: await repository.resolve('latest') };
}

/** A hypervisor that takes a checkpoint's memory by numbers alone, as one does whose guest runs already. */
function readingAll(memory: { bytes?: Buffer }, resumable: boolean): Hypervisor {
  const take = async (_location: string, source: RestoreSource) => {
    const pages = totalPages(source.info.regions);
    const bytes = Buffer.alloc(pages * PAGE_SIZE);
    for (let gfn = pages - (pages % 7); gfn >= 0; gfn -= 7)
      for (const extent of await source.random!.read(gfn, Math.min(7, pages - gfn)))
        bytes.set(extent.bytes, extent.gfn * PAGE_SIZE);
    memory.bytes = bytes;
    return { state: 'running', pages, notes: [] } as const;
  };
  return {
    specificationVersion: 'hypervisor-v1',
    scheme: 'reading',
    supports: { attach: false, restore: true },
    attach: () => Promise.reject(new Error('not asked for')),
    restore: take,
    ...(resumable && { resume: take }),
  };
}

it('verifies first where told, takes damaged pages from another copy, and holds both meanwhile', async () => {
  const { engine, repository, store, entry } = await checkpointsOf('memory=8M&workload=random&seed=3', 3);
  const wanted: { bytes?: Buffer } = {};
  const hypervisor = readingAll(wanted, true);
  const request = { repository, entry, hypervisor, location: 'x' };
  await restore(engine, { ...request, verifyFirst: true });
  const right = wanted.bytes!;
  const source = await CheckpointSource.open(engine, repository, entry);
  for await (const { gfn, bytes } of source.pages())
    expect(right.subarray(gfn * PAGE_SIZE, gfn * PAGE_SIZE + bytes.length).equals(bytes)).toBe(true);

  const other = await Repository.init(new MemoryStore());
  await copyCheckpoints(repository, other, [entry]);
  const [base] = await repository.chain(entry);
  const object = await store.get(base!.key);
  const [batch] = (await repository.openCheckpoint(base!)).batches;
  object[batch!.offset + 100]! ^= 1;
  await store.put(base!.key, object, { mode: 'replace' });

  const damaged = { code: 'FORMAT_DAMAGED', details: { key: base!.key } };
  await expect(restore(engine, request)).rejects.toMatchObject(damaged);
  let touched = false;
  const never = { ...hypervisor, restore: () => ((touched = true), Promise.reject(new Error('touched'))) };
  await expect(restore(engine, { ...request, hypervisor: never, verifyFirst: true })).rejects.toMatchObject(
    damaged,
  );
  expect(touched).toBe(false);
  const also = { repository: other, entry: await other.resolve('latest') };
  for (const resume of [false, true]) {
    delete wanted.bytes;
    await restore(engine, { ...request, also, resume, verifyFirst: true });
    expect(right.equals(wanted.bytes!)).toBe(true);
  }
  await expect(
    restore(engine, { ...request, hypervisor: readingAll({}, false), resume: true }),
  ).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  await other.close();
});

it('asks for a guest that runs first where it is wanted, verifies only then, and only from near', async () => {
  const { engine, repository, store, entry } = await checkpointsOf('memory=4M&workload=random&seed=7', 1);
  const told: unknown[] = [];
  const hypervisor: Hypervisor = {
    ...readingAll({}, true),
    restore: async (_location, _source, options) => {
      told.push([options?.config?.['lazy'], await options?.beforeLazy?.()]);
      return { state: 'running', pages: 1, notes: [] };
    },
  };
  const far = await Repository.open(withChanges(store, { location: 'far:away' }));
  const request = { repository, entry, hypervisor, location: 'x' };
  await restore(engine, { ...request, lazy: 'auto' });
  await restore(engine, { ...request, repository: far, lazy: 'auto' });
  await restore(engine, { ...request, repository: far, lazy: true });
  await restore(engine, { ...request, lazy: false }, { config: { own: 1 } });
  const why = expect.stringContaining('its repository is not on this host') as string;
  expect(told).toEqual([
    ['auto', undefined],
    ['auto', why],
    [true, undefined],
    [false, undefined],
  ]);
  const eager: Hypervisor = { ...hypervisor };
  delete eager.resume;
  await restore(engine, { ...request, hypervisor: eager, lazy: 'auto' });
  expect(told.at(-1)).toEqual([undefined, undefined]);
  await expect(restore(engine, { ...request, hypervisor: eager, lazy: true })).rejects.toMatchObject({
    code: 'CAPABILITY_MISSING',
  });

  const object = await store.get(entry.key);
  const [batch] = (await repository.openCheckpoint(entry)).batches;
  object[batch!.offset + 100]! ^= 1;
  await store.put(entry.key, object, { mode: 'replace' });
  const damaged = { code: 'FORMAT_DAMAGED', details: { key: entry.key } };
  await expect(restore(engine, { ...request, lazy: 'auto' })).rejects.toMatchObject(damaged);
  const verified = { ...request, repository: far, lazy: true, verifyFirst: 'lazy' } as const;
  await expect(restore(engine, verified)).rejects.toMatchObject(damaged);
  await restore(engine, { ...request, lazy: 'auto', verifyFirst: false });
  await restore(engine, { ...request, repository: far, lazy: true });
  await far.close();
});

it('opens a chain with few questions to the store, and reads nothing of small objects again', async () => {
  const { engine, repository, store, entry } = await checkpointsOf('memory=8M&workload=kv&rate=4&seed=11', 6);
  const small = (await repository.chain(entry))
    .filter(({ bytes }) => bytes <= 16 << 10)
    .map(({ key }) => key);
  expect(small.length).toBeGreaterThan(2);
  const read: string[] = [];
  const counted = await Repository.open(
    withChanges(store, { get: (key, ...rest) => (read.push(key), store.get(key, ...rest)) }),
  );
  const found = await counted.resolve('latest');
  read.splice(0);
  const random = await CheckpointSource.use(engine, counted, found, {}, (source) =>
    source.random.read(0, totalPages(source.info.regions)),
  );
  expect(random.length).toBeGreaterThan(0);
  for (const key of small) expect(read.filter((each) => each === key)).toHaveLength(1);
  await counted.close();
});

it('holds nothing for there that went before its lease stood', async () => {
  const { engine, store, entry } = await checkpointsOf('memory=4M&workload=random&seed=13', 3);
  const put: Store['put'] = async (key, ...rest) => {
    if (key.startsWith('locks/shared/')) {
      // Once all of the chain was opened.
      await setTimeout(100);
      await store.delete(entry.key);
    }
    return store.put(key, ...rest);
  };
  const racing = await Repository.open(withChanges(store, { put }));
  let worked = false;
  const using = CheckpointSource.use(engine, racing, entry, {}, () => Promise.resolve((worked = true)));
  await expect(using).rejects.toMatchObject({ code: expect.stringMatching(/NOT_FOUND/) as string });
  expect(worked).toBe(false);
  await racing.close();
});

/** The same store, but for what is given. */
function withChanges(store: Store, changes: Partial<Store>): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name in changes) return Reflect.get(changes, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

it('sends first what guests of the machine waited for before, which what lies there cannot harm', async () => {
  const { engine, repository, store, entry } = await checkpointsOf('memory=4M&workload=random&seed=5', 1);
  const told: unknown[] = [];
  const asking = (asked: readonly number[]): Hypervisor => ({
    ...readingAll({}, true),
    restore: async (_location, _source, options) => {
      told.push(options?.first?.map(({ start }) => start));
      const times = { sentMs: 1, faults: asked.length, faultP50Ms: 1, faultP99Ms: 1 };
      return Promise.resolve({ state: 'running', pages: 1, notes: [], lazy: { ...times, asked } });
    },
  });
  const request = (asked: readonly number[]) => ({
    repository,
    entry,
    hypervisor: asking(asked),
    location: 'x',
  });
  await restore(engine, request([5, 3, 9]));
  await restore(engine, request([7, 3]));
  await restore(engine, request([]));
  await restore(engine, request([]), { first: [{ start: 1, count: 1 }] });
  expect(told).toEqual([[], [5, 3, 9], [7, 3, 5, 9], [1]]);
  // Derived data: whatever lies there, the restore goes on.
  let key = '';
  for await (const stat of store.list('derived/')) key = stat.key;
  for (const text of ['', '{}', '{"version":1,"gfns":[-1,"x",1e9,2]}']) {
    await store.put(key, new TextEncoder().encode(text), { mode: 'replace' });
    await restore(engine, request([]));
  }
  expect(told.slice(4)).toEqual([[], [], [2]]);
});
