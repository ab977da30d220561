import { MemoryStore } from '@fitdoc/store-memory';
import { describe, expect, it } from 'vitest';
import { repairRepository, Repository, stateOf } from '../src/index.js';
import { header, content, putChain } from './support/checkpoints.js';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = async (store: MemoryStore) => new TextDecoder().decode(await store.get('config.json'));
const replace = (store: MemoryStore, text: string) =>
  store.put('config.json', encode(text), { mode: 'replace' });

async function withCheckpoints(): Promise<{ store: MemoryStore; repository: Repository }> {
  const store = new MemoryStore();
  const repository = await Repository.init(store);
  await putChain(repository, 3);
  return { store, repository };
}

/** Ways to lose a config object, and how much of it is legible afterwards. */
const LOSSES: [name: string, legible: 'id' | 'nothing', lose: (store: MemoryStore) => Promise<unknown>][] = [
  ['missing', 'nothing', (store) => store.delete('config.json')],
  ['empty', 'nothing', (store) => replace(store, '')],
  ['of zeros', 'nothing', (store) => replace(store, '\0'.repeat(120))],
  ['another file', 'nothing', (store) => replace(store, '{"name":"an app","version":"1.2.3"}')],
  [
    'with a damaged id',
    'nothing',
    async (store) => replace(store, (await decode(store)).replace(/"id": "./, '"id": "x')),
  ],
  [
    'cut off',
    'id',
    async (store) => replace(store, (await decode(store)).replace(/,\s*"createdAtMs[^]*/, '')),
  ],
  ['with a flipped bit', 'id', async (store) => replace(store, (await decode(store)).replace('{', 'k'))],
];

describe('a config object', () => {
  it.each(LOSSES)('%s: says so, names the remedy, and is rebuilt', async (_, legible, lose) => {
    const { store, repository } = await withCheckpoints();
    const { id, createdAtMs } = repository.config;
    const before = await repository.list();
    await lose(store);
    const refused = { code: 'REPOSITORY_DAMAGED', hint: expect.stringContaining('fitdoc repair') as string };
    await expect(Repository.open(store)).rejects.toMatchObject(refused);
    await expect(Repository.openOrInit(store)).rejects.toMatchObject(refused);
    const report = await repairRepository(store);
    expect(report.idFrom).toBe(legible === 'id' ? 'config' : 'new');
    if (legible === 'id') expect(report.config.id).toBe(id);
    else expect(report.config.id).not.toBe(id);
    expect(report.config.createdAtMs).toBeLessThanOrEqual(createdAtMs);
    const again = await Repository.open(store);
    expect(again.config).toEqual(report.config);
    expect(await again.list()).toEqual(before);
    await putChain(again, 1, { parent: (await again.checkpoints()).at(-1)! });
    expect(await repairRepository(store)).toMatchObject({ found: 'whole', config: report.config });
  });

  it('is rebuilt with the id that somebody knows', async () => {
    const { store, repository } = await withCheckpoints();
    await store.delete('config.json');
    // Who has it open says that it is gone, and which id to rebuild it with.
    const { id } = repository.config;
    await expect(repository.assertPresent()).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      hint: expect.stringContaining(`--id ${id}`) as string,
    });
    await expect(repairRepository(store, { id: 'mine' })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    expect(await repairRepository(store, { id })).toMatchObject({
      found: 'missing',
      idFrom: 'caller',
      config: { id },
    });
    await repository.assertPresent();
    const other = crypto.randomUUID();
    await expect(repairRepository(store, { id: other })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  it('of a repository with derived objects keeps programs out that do not know them', async () => {
    const { store, repository } = await withCheckpoints();
    const [base, , last] = await repository.checkpoints();
    await store.delete('config.json');
    expect((await repairRepository(store)).config.version).toBe(1);
    const again = await Repository.open(store);
    const head = {
      ...header({ parent: base! }),
      sequence: last!.sequence,
      createdAtMs: last!.createdAtMs + 1,
    };
    const derived = { state: stateOf(last!), role: 'merged' as const, merges: [last!.objectHash] };
    await again.put({ ...head, ...derived }, content());
    await store.delete('config.json');
    expect((await repairRepository(store)).config.version).toBe(2);
  });

  it('is not made where nothing shows that this is a repository', async () => {
    const store = new MemoryStore();
    await expect(repairRepository(store)).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
    const theirs = '{"name":"an app"}';
    await replace(store, theirs);
    await store.put('machines/of-another-kind.txt', encode('x'));
    await expect(repairRepository(store)).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
    expect(await decode(store)).toBe(theirs);
  });

  it('of a later version is not taken for a damaged one', async () => {
    const { store } = await withCheckpoints();
    const later = (await decode(store)).replace(/"version": \d/, '"version": 9');
    for (const text of [later, later.slice(1)]) {
      await replace(store, text);
      await expect(repairRepository(store)).rejects.toMatchObject({ code: 'REPOSITORY_INCOMPATIBLE' });
      expect(await decode(store)).toBe(text);
    }
  });

  it('that is missing is not replaced by a new repository over the checkpoints', async () => {
    const { store } = await withCheckpoints();
    await store.delete('config.json');
    await expect(Repository.init(store)).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    await expect(store.get('config.json')).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
  });
});
