import { MemoryStore } from '@fitdoc/store-memory';
import { beforeAll, describe, expect, it } from 'vitest';
import { Catalogue } from '../src/catalogue/catalogue.js';
import { copyCheckpoints, Repository, type CheckpointEntry } from '../src/index.js';
import { putChain, putSample } from './support/checkpoints.js';
import { packedStore, syntheticEntry, type SyntheticStore } from './support/synthetic-store.js';

/** Summaries that are in no segment yet, and the segments beside the large ones. */
const LOOSE = 32;

const count = 10_000;

describe('a repository of ten thousand checkpoints', () => {
  let store: SyntheticStore;
  beforeAll(async () => {
    store = await packedStore(count);
  }, 600_000);

  it('is listed in few requests', async () => {
    const { result, total, requests } = await store.counting(async () =>
      (await Repository.open(store)).list(),
    );
    expect(result.length).toBe(count);
    expect(result.at(-1)).toEqual(syntheticEntry(count - 1));
    expect(result[1_234]).toEqual(syntheticEntry(1_234));
    expect(total, JSON.stringify(requests)).toBeLessThanOrEqual(100 - LOOSE);
    expect(requests.list).toBeLessThanOrEqual(6);
  });

  it('resolves names, finds chains and attaches in few requests', async () => {
    const repository = await Repository.open(store);
    const first = await store.counting(() => repository.resolve('latest', { machine: 'm' }));
    expect(first.result).toEqual(syntheticEntry(count - 1));
    expect(first.total).toBeLessThanOrEqual(100 - LOOSE);
    for (const spec of [syntheticEntry(4_321).id.slice(0, 16), 'latest~2000', '@2025-06-15T15:40:00Z']) {
      const again = await store.counting(() => repository.resolve(spec, { machine: 'm' }));
      expect(again.total, spec).toBeLessThanOrEqual(8);
    }
    const next = await store.counting(() => putSample(repository, { parent: first.result }));
    expect(next.total).toBeLessThanOrEqual(30);
    await repository.delete([next.result]);
    await repository.close();
  });

  it('lets a tag move, and checkpoints be deleted and pruned, with one whole listing each', async () => {
    const repository = await Repository.open(store);
    const whole = Math.ceil(count / 1_000);
    const entry = await repository.resolve(syntheticEntry(5_000).id);
    const tag = await store.counting(() => repository.tags.set('kept', entry));
    expect(tag.total).toBeLessThanOrEqual(12);
    const last = await repository.resolve('latest');
    const deletion = await store.counting(() => repository.delete([last]));
    expect(deletion.result.removed).toEqual([last]);
    expect(deletion.requests.list).toBeLessThanOrEqual(whole + 25);
    const prune = await store.counting(() => repository.prune({ keepLast: 10 }, { dryRun: true }));
    expect(prune.result.machines[0]!.keep.length).toBe(count - 1);
    expect(prune.requests.list).toBeLessThanOrEqual(20);
    await repository.close();
  });

  it('is held against the objects in one listing', async () => {
    const repository = await Repository.open(store);
    await store.delete(syntheticEntry(700).key);
    const { result, requests } = await store.counting(() =>
      repository.maintain({ machine: 'm', audit: true }),
    );
    expect(result).toMatchObject({ stale: 1, missed: 0 });
    expect(requests.list).toBeLessThanOrEqual(Math.ceil(count / 1_000) + 6);
    expect(await repository.maintain({ machine: 'm', audit: true })).toMatchObject({ written: 0, stale: 0 });
  });
});

describe('a repository of a hundred thousand checkpoints', () => {
  it('is listed in at most a hundred requests, and held against the objects in one listing', async () => {
    const many = 100_000;
    const store = await packedStore(many);
    const repository = await Repository.open(store);
    const { result, total, requests } = await store.counting(() => repository.list());
    expect(result.length).toBe(many);
    expect(result[54_321]).toEqual(syntheticEntry(54_321));
    expect(total, JSON.stringify(requests)).toBeLessThanOrEqual(100 - LOOSE);
    const audit = await store.counting(() => repository.maintain({ machine: 'm', audit: true }));
    expect(audit.result).toMatchObject({ stale: 0, missed: 0 });
    expect(audit.requests.list).toBeLessThanOrEqual(many / 1_000 + 6);
  }, 600_000);
});

describe('segments of the catalogue', () => {
  const clock = { ms: 0 };
  const hour = 3_600_000;

  /** A repository whose first checkpoints are old and packed, and that lists by segments as soon as it can. */
  async function aged(count: number): Promise<{ memory: MemoryStore; chain: CheckpointEntry[] }> {
    clock.ms = 0;
    const memory = new MemoryStore({ now: () => clock.ms });
    const repository = await Repository.init(memory);
    const chain = await putChain(repository, count, { machine: 'm' });
    clock.ms += hour;
    chain.push(await putSample(repository, { parent: chain.at(-1)! }));
    await repository.close();
    await catalogueOf(memory).pack('m');
    return { memory, chain };
  }

  const catalogueOf = (memory: MemoryStore) =>
    new Catalogue(memory, { worthwhile: 1, sizes: [4, 16, 64], fanOut: 4, openSize: 16 });

  async function segmentsOf(memory: MemoryStore): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of memory.list('catalogue/')) keys.push(key);
    return keys;
  }

  it('are read instead of the objects', async () => {
    const { memory, chain } = await aged(40);
    expect((await segmentsOf(memory)).length).toBeGreaterThan(0);
    const [covered] = chain;
    await memory.delete(covered!.key);
    const catalogue = catalogueOf(memory);
    // One that is gone is still told of, until somebody looks.
    expect(await catalogue.list({ machine: 'm' })).toEqual(chain);
    expect(await catalogue.isThere(covered!)).toBe(false);
    expect(await catalogue.isThere(chain[1]!)).toBe(true);
    expect(await catalogue.list({ machine: 'm' })).toEqual(chain.slice(1));
    expect(await catalogueOf(memory).list({ machine: 'm', audit: true })).toEqual(chain.slice(1));
  });

  it('may be damaged, cut off, emptied or missing, and are made anew', async () => {
    for (const harm of ['damaged', 'cut off', 'emptied', 'missing', 'all of them', 'of a later version']) {
      const { memory, chain } = await aged(40);
      const keys = await segmentsOf(memory);
      for (const key of harm === 'all of them' ? keys : keys.slice(0, 1)) {
        const bytes = await memory.get(key);
        if (harm === 'damaged') bytes[bytes.length >> 1]! ^= 1;
        const cut =
          harm === 'cut off' ? bytes.subarray(0, 50) : harm === 'emptied' ? bytes.subarray(0, 0) : bytes;
        if (harm === 'of a later version') bytes[8] = 9;
        await memory.delete(key);
        if (harm !== 'missing' && harm !== 'all of them') await memory.put(key, cut);
      }
      expect(await catalogueOf(memory).list(), harm).toEqual(chain);
      await catalogueOf(memory).pack('m');
      expect(await catalogueOf(memory).list(), harm).toEqual(chain);
      expect((await catalogueOf(memory).pack('m')).written, harm).toBe(0);
    }
  });

  it('tell of a checkpoint that is copied below them', async () => {
    const { memory: from, chain } = await aged(12);
    const { memory: to } = await aged(40);
    const [source, target] = [await Repository.open(from), await Repository.open(to)];
    await copyCheckpoints(source, target, [chain.at(-1)!]);
    await target.close();
    const keys = (await catalogueOf(to).list()).map(({ key }) => key);
    for (const { key } of chain) expect(keys).toContain(key);
    expect((await segmentsOf(to)).some((key) => key.includes('/late/'))).toBe(true);
    await catalogueOf(to).pack('m');
    expect((await catalogueOf(to).list()).map(({ key }) => key)).toEqual(keys);
    expect((await segmentsOf(to)).filter((key) => key.includes('/late/')).length).toBeLessThanOrEqual(1);
  });

  it('are rewritten when checkpoints go, and never count as a way to one', async () => {
    const { memory, chain } = await aged(40);
    const repository = await Repository.open(memory);
    const bases = [await putSample(repository, { machine: 'm', sequence: 60 })];
    await repository.prune({ keepLast: 1 });
    await repository.close();
    expect(await catalogueOf(memory).list()).toEqual(bases);
    const orphan = await Repository.open(memory);
    const late = await putSample(orphan, { machine: 'm', sequence: 61, parent: bases[0]! });
    expect((await orphan.chain(late)).length).toBe(2);
    await expect(putSample(orphan, { machine: 'm', sequence: 99, parent: chain[3]! })).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
    });
    await orphan.close();
  });

  it('are made by who puts, without being asked', async () => {
    clock.ms = 0;
    const memory = new MemoryStore({ now: () => clock.ms });
    const repository = await Repository.init(memory);
    let parent: CheckpointEntry | undefined;
    for (let nth = 0; nth < 700; nth++) {
      clock.ms += 5_000;
      parent = await putSample(repository, { machine: 'm', ...(parent ? { parent } : {}) });
    }
    await repository.close();
    const keys = await segmentsOf(memory);
    expect(keys.filter((key) => key.includes('/full_')).length).toBeGreaterThan(0);
    expect(keys.length).toBeLessThan(12);
    let reads = 0;
    const counting = Object.assign(new MemoryStore({ shareWith: memory }), {
      get: (...args: Parameters<MemoryStore['get']>) => (reads++, memory.get(...args)),
    });
    expect((await (await Repository.open(counting)).list()).length).toBe(700);
    expect(reads).toBeLessThanOrEqual(LOOSE + keys.length + 1);
  }, 300_000);
});
