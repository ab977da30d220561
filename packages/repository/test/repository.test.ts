import { MemoryStore } from '@fitdoc/store-memory';
import { describe, expect, it } from 'vitest';
import { isIntact, Repository, type CheckpointEntry } from '../src/index.js';
import { content, header, putChain, putSample } from './support/checkpoints.js';

const ids = (entries: readonly { id: string }[]) => entries.map((entry) => entry.id);

async function newRepository(): Promise<{ store: MemoryStore; repository: Repository }> {
  const store = new MemoryStore();
  return { store, repository: await Repository.init(store) };
}

/** Changes one byte of an object, as a bad disk would. */
async function damage(store: MemoryStore, key: string, fromEnd: number): Promise<void> {
  const bytes = await store.get(key);
  bytes[bytes.length - fromEnd]! ^= 0x40;
  await store.put(key, bytes, { mode: 'replace' });
}

describe('a repository', () => {
  it('is made once, and opened often', async () => {
    const { store, repository } = await newRepository();
    await expect(Repository.init(store)).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
    expect((await Repository.open(store)).config).toEqual(repository.config);
    expect(await repository.list()).toEqual([]);
    expect(await repository.machines()).toEqual([]);
  });

  it('is made by whoever comes first, and opened by the others', async () => {
    const store = new MemoryStore();
    const opened = await Promise.all([1, 2, 3].map(() => Repository.openOrInit(store)));
    for (const { config } of opened) expect(config).toEqual(opened[0]!.config);
  });

  it('says what is wrong with a place that is none', async () => {
    const store = new MemoryStore();
    await expect(Repository.open(store)).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
    const put = (text: string) =>
      store.put('config.json', new TextEncoder().encode(text), { mode: 'replace' });
    for (const bad of ['', '{', '[]', '{"format":"other"}', '\xff']) {
      await put(bad);
      await expect(Repository.open(store)).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    }
    const later = { format: 'fitdoc-repository', version: 4, id: crypto.randomUUID(), createdAtMs: 1 };
    await put(JSON.stringify(later));
    await expect(Repository.open(store)).rejects.toMatchObject({ code: 'REPOSITORY_INCOMPATIBLE' });
  });

  it('lists what was put, in another process too, reading each tail once', async () => {
    const { store, repository } = await newRepository();
    const one = await putChain(repository, 3, { machine: 'b.1' });
    const two = await putChain(repository, 2, { machine: '.hidden_' });
    expect((await repository.list()).map((entry) => entry.key)).toEqual(
      [...two, ...one].map((e) => e.key).sort(),
    );
    let reads = 0;
    const counting = new Proxy(store, {
      get(target, name) {
        if (name === 'get') reads++;
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const other = await Repository.open(counting);
    reads = 0;
    expect(await other.list({ machine: 'b.1' })).toEqual(one);
    expect(reads).toBe(3);
    expect(new Set(await other.list())).toEqual(new Set([...one, ...two]));
    expect(reads).toBe(5);
    const machines = await other.machines();
    expect(machines.map(({ id, checkpoints, latest }) => [id, checkpoints, latest?.id])).toEqual(
      expect.arrayContaining([
        ['b.1', 3, one[2]!.id],
        ['.hidden_', 2, two[1]!.id],
      ]),
    );
    const bytes = one.reduce((sum, entry) => sum + entry.bytes, 0);
    expect(machines.find(({ id }) => id === 'b.1')?.bytes).toBe(bytes);
  });

  it('opens what it lists, and notices an object that was changed', async () => {
    const { store, repository } = await newRepository();
    const [base, child] = await putChain(repository, 2);
    const reader = await repository.openCheckpoint(child!);
    expect(reader.header.parent?.contentHash).toBe(base!.contentHash);
    await store.put(child!.key, await store.get(base!.key), { mode: 'replace' });
    await expect(repository.openCheckpoint(child!)).rejects.toMatchObject({
      code: expect.any(String) as string,
    });
  });

  it('flags damaged checkpoints in the list, and lists the others', async () => {
    const { store, repository } = await newRepository();
    const chain = await putChain(repository, 4);
    await damage(store, chain[1]!.key, 3);
    await store.put(chain[3]!.key, new Uint8Array(0), { mode: 'replace' });
    const other = await Repository.open(store);
    const listed = await other.list();
    expect(listed.map(isIntact)).toEqual([true, false, true, false]);
    expect(listed[1]).toMatchObject({ machineId: 'm1', sequence: 1, key: chain[1]!.key });
    expect(listed[1]!.damaged?.code).toMatch(/^FORMAT_/);
    expect(ids(await other.checkpoints())).toEqual([chain[0]!.id, chain[2]!.id]);
    expect((await other.machines())[0]).toMatchObject({ checkpoints: 2, damaged: 2 });
    await expect(other.chain(chain[2]!)).rejects.toMatchObject({
      code: 'REPOSITORY_DAMAGED',
      details: { missingParentId: chain[1]!.id },
    });
    const report = await other.delete(listed.filter((entry) => !isIntact(entry)));
    expect(report.removed.length).toBe(2);
    expect((await other.list()).every(isIntact)).toBe(true);
  });

  it('does not take a store that does not answer for damage', async () => {
    const { store, repository } = await newRepository();
    await putSample(repository);
    const broken = Object.assign(Object.create(store) as MemoryStore, {
      get: async (key: string) => {
        if (key === 'config.json') return store.get(key);
        throw Object.assign(new Error('down'), { code: 'ECONNRESET' });
      },
      list: store.list.bind(store),
    });
    const other = await Repository.open(broken);
    await expect(other.list()).rejects.toThrow('down');
  });
});

describe('put', () => {
  it('leaves nothing of content that fails or is aborted', async () => {
    const { store, repository } = await newRepository();
    const base = await putSample(repository);
    const before = await repository.list();
    async function* failing() {
      yield* content();
      throw new Error('the guest is gone');
    }
    await expect(repository.put(header({ parent: base }), failing())).rejects.toThrow('the guest is gone');
    const controller = new AbortController();
    async function* aborting() {
      controller.abort();
      yield* content();
    }
    const aborted = repository.put(header({ parent: base }), aborting(), { signal: controller.signal });
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await (await Repository.open(store)).list()).toEqual(before);
    await putSample(repository, { parent: base });
  });

  it('refuses an increment to what is not there', async () => {
    const { store, repository } = await newRepository();
    const [base, child] = await putChain(repository, 2);
    await store.delete(child!.key);
    await expect(putSample(repository, { parent: child! })).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
    });
    await putSample(repository, { parent: base! });
    await expect(putSample(repository, { parent: base!, machine: 'm2' })).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
    });
  });

  it('takes checkpoints of many machines at once', async () => {
    const { repository } = await newRepository();
    const chains = await Promise.all(
      Array.from({ length: 20 }, (_, i) => putChain(repository, 5, { machine: `vm-${i}` })),
    );
    expect((await repository.machines()).length).toBe(20);
    for (const chain of chains) expect(ids(await repository.chain(chain[4]!))).toEqual(ids(chain));
  });

  it('keeps forks apart', async () => {
    const { repository } = await newRepository();
    const trunk = await putChain(repository, 3);
    const fork = await putChain(repository, 2, { parent: trunk[0]! });
    expect(ids(await repository.chain(fork[1]!))).toEqual(ids([trunk[0]!, ...fork]));
    expect(ids(await repository.chain(trunk[2]!))).toEqual(ids(trunk));
  });
});

describe('replace', () => {
  const merged = (entries: readonly CheckpointEntry[]) => {
    const last = entries.at(-1)!;
    const { machine, createdAtMs, tool } = header({ machine: last.machineId });
    return { machine, createdAtMs, tool, capturedAtMs: last.capturedAtMs };
  };

  it('puts one checkpoint in the place of several, and their children follow', async () => {
    const { store, repository } = await newRepository();
    const chain = await putChain(repository, 7);
    await repository.tags.set('golden', chain[4]!);
    const run = chain.slice(2, 5);
    const { entry, removed, kept } = await repository.replace(run, merged(run), content());
    expect(new Set(ids(removed))).toEqual(new Set(ids(run)));
    expect(kept).toEqual([]);
    expect(entry.sequence).toBe(chain[4]!.sequence);
    const other = await Repository.open(store);
    const expected = ids([chain[0]!, chain[1]!, entry, chain[5]!, chain[6]!]);
    expect(ids(await other.chain(chain[6]!))).toEqual(expected);
    expect((await other.resolve('golden')).id).toBe(entry.id);
    expect((await other.resolve('latest~2')).id).toBe(entry.id);
    // And again, over what was merged: the older names still lead to it.
    const second = await other.replace([chain[1]!, entry], merged([entry]), content());
    expect(ids(await other.chain(chain[6]!))).toEqual(ids([chain[0]!, second.entry, chain[5]!, chain[6]!]));
    expect((await other.resolve('golden')).id).toBe(second.entry.id);
    const base = await other.replace([chain[0]!, second.entry], merged([second.entry]), content());
    expect(base.entry.kind).toBe('base');
    expect(ids(await other.chain(chain[6]!))).toEqual(ids([base.entry, chain[5]!, chain[6]!]));
    await putSample(other, { parent: chain[6]! });
  });

  it('keeps of the run what a fork builds on', async () => {
    const { repository } = await newRepository();
    const chain = await putChain(repository, 5);
    const fork = await putSample(repository, { parent: chain[2]! });
    const run = chain.slice(1, 4);
    const { entry, removed, kept } = await repository.replace(run, merged(run), content());
    expect(ids(removed)).toEqual([chain[3]!.id]);
    expect(kept.map(({ entry: stays }) => stays.id).sort()).toEqual(ids([chain[1]!, chain[2]!]).sort());
    expect(ids(await repository.chain(fork))).toEqual(ids([...chain.slice(0, 3), fork]));
    expect(ids(await repository.chain(chain[4]!))).toEqual(ids([chain[0]!, entry, chain[4]!]));
  });

  it('refuses what is no run, and leaves all as it is when the content fails', async () => {
    const { repository } = await newRepository();
    const chain = await putChain(repository, 5);
    for (const bad of [[], [chain[1]!, chain[3]!], [chain[2]!, chain[1]!]]) {
      const refused = repository.replace(bad, merged(chain), content());
      await expect(refused).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    }
    async function* failing() {
      yield* content();
      throw new Error('no');
    }
    await expect(repository.replace(chain.slice(1, 3), merged(chain), failing())).rejects.toThrow('no');
    expect(ids(await repository.checkpoints())).toEqual(ids(chain));
  });
});
