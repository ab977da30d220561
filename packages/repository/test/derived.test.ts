import { MemoryStore } from '@fitdoc/store-memory';
import { isFitdocError, type Store } from '@fitdoc/interface';
import { expect, it } from 'vitest';
import { isIntact, Repository, stateOf, type CheckpointEntry } from '../src/index.js';
import { content, header, putChain, putSample } from './support/checkpoints.js';

/** Puts what a merge of everything from `from` (exclusive) to `to` would give; a base without `from`. */
function putDerived(
  repository: Repository,
  to: CheckpointEntry,
  from?: CheckpointEntry,
  role: 'merged' | 'shortcut' = 'merged',
): Promise<CheckpointEntry> {
  const head = {
    ...header({ ...(from ? { parent: from } : {}), machine: to.machineId }),
    ...{ sequence: to.sequence, capturedAtMs: to.capturedAtMs, createdAtMs: to.createdAtMs + 60_000 },
    ...{ state: stateOf(to), role: from ? role : ('base' as const), merges: [to.objectHash] },
  };
  return repository.put(head, content());
}

const remove = (repository: Repository, entries: readonly CheckpointEntry[]) =>
  Promise.all(entries.map((entry) => repository.store.delete(entry.key)));
const ids = (entries: readonly { id: string }[]) => entries.map(({ id }) => id);

it('names a state for ever as its captured checkpoint was named', async () => {
  const repository = await Repository.init(new MemoryStore());
  const chain = await putChain(repository, 6);
  await repository.tags.set('golden', chain[3]!);
  const merged = await putDerived(repository, chain[3]!, chain[0]);
  expect(merged.key).toMatch(/^machines\/m1\/merged\/0000000000-/);
  expect([merged.id, merged.contentHash]).toEqual([chain[3]!.id, chain[3]!.contentHash]);
  expect(merged.objectHash).not.toBe(merged.contentHash);
  expect(ids(await repository.checkpoints())).toEqual(ids(chain));
  expect((await repository.objects()).length).toBe(7);
  expect((await repository.chain(chain[5]!)).map(({ key }) => key)).toEqual(
    [chain[0]!, merged, chain[4]!, chain[5]!].map(({ key }) => key),
  );
  await remove(repository, chain.slice(1, 4));
  const other = await Repository.open(repository.store);
  expect(ids(await other.checkpoints())).toEqual(ids([chain[0]!, merged, chain[4]!, chain[5]!]));
  for (const spec of ['golden', chain[3]!.id, chain[3]!.id.slice(0, 10), 'latest~2', merged.objectHash])
    expect((await other.resolve(spec)).key, spec).toBe(merged.key);
  expect((await other.resolve('latest~3')).id).toBe(chain[0]!.id);
  expect(await other.readCost(chain[5]!)).toMatchObject({ objects: 4 });
  const reader = await other.openCheckpoint(await other.resolve('golden'));
  expect(reader.header).toMatchObject({ state: chain[3]!.contentHash, role: 'merged' });
  // A captured child may stand on a state that only a derived object shows, and a tag be set on it.
  const child = await putSample(other, { parent: await other.resolve('golden'), sequence: 9 });
  expect(child.parentContentHash).toBe(chain[3]!.contentHash);
  await other.tags.set('again', await other.resolve('golden'));
  expect((await other.resolve('again')).id).toBe(chain[3]!.id);
  expect((await other.machines())[0]).toMatchObject({ checkpoints: 5, objects: 5 });
});

it('reads the base that was brought forward, and keys of derived objects rise', async () => {
  const repository = await Repository.init(new MemoryStore());
  const chain = await putChain(repository, 4);
  const keys: string[] = [];
  for (const to of [chain[2]!, chain[1]!, chain[3]!]) keys.push((await putDerived(repository, to)).key);
  const other = await Repository.open(repository.store);
  keys.push((await putDerived(other, chain[3]!, chain[2], 'shortcut')).key);
  expect([...keys].sort()).toEqual(keys);
  const [only, ...more] = await other.chain(chain[3]!);
  expect([only?.role, more.length]).toEqual(['base', 0]);
  expect((await other.resolve('latest')).key).toBe(chain[3]!.key);
});

it('deletes a restore point with all objects that show it, and keeps what stands on it', async () => {
  const repository = await Repository.init(new MemoryStore());
  const chain = await putChain(repository, 4);
  const base = await putDerived(repository, chain[3]!);
  const cut = await putDerived(repository, chain[2]!, chain[0], 'shortcut');
  const needed = await repository.delete([chain[2]!]);
  // The base shows the state behind it without any of the others.
  expect(new Set(needed.removed.map(({ key }) => key))).toEqual(new Set([chain[2]!.key, cut.key]));
  expect((await repository.chain(chain[3]!)).map(({ key }) => key)).toEqual([base.key]);
  const all = await repository.delete([chain[0]!], { descendants: true });
  expect(all.removed.map(({ key }) => key).sort()).toEqual([chain[0]!.key, chain[1]!.key].sort());
  expect(ids(await repository.checkpoints())).toEqual([chain[3]!.id]);
});

it('prunes without merging as ever, short cuts to what stays included', async () => {
  const repository = await Repository.init(new MemoryStore());
  const chain = await putChain(repository, 6);
  const base = await putDerived(repository, chain[4]!);
  const old = await putDerived(repository, chain[2]!, chain[0], 'shortcut');
  const report = await repository.prune({ keepLast: 2 });
  const left = (await repository.objects()).filter(isIntact).map(({ key }) => key);
  expect(left).not.toContain(old.key);
  expect(left.sort()).toEqual([base.key, chain[4]!.key, chain[5]!.key].sort());
  expect(report.removed).toBe(5);
  for (const entry of await repository.checkpoints()) await repository.chain(entry);
});

/** A repository as fitdoc 0.1 makes one. */
async function oldRepository(): Promise<Store> {
  const store = new MemoryStore();
  const { config } = await Repository.init(store);
  const old = JSON.stringify({ format: 'fitdoc-repository', ...config, version: 1 });
  await store.put('config.json', new TextEncoder().encode(old), { mode: 'replace' });
  return store;
}

const versionIn = async (store: Store) =>
  (JSON.parse(new TextDecoder().decode(await store.get('config.json'))) as { version: number }).version;

it('raises a repository of version 1 before the first derived object, and not before', async () => {
  const store = await oldRepository();
  const repository = await Repository.open(store);
  const id = repository.config.id;
  const chain = await putChain(repository, 3);
  expect([repository.config.version, await versionIn(store)]).toEqual([1, 1]);
  await putDerived(repository, chain[2]!);
  expect([repository.config.version, await versionIn(store)]).toEqual([2, 2]);
  expect((await Repository.open(store)).config).toEqual({ ...repository.config, id, version: 2 });
});

it('puts no derived object into a repository that cannot be raised', async () => {
  const store = await oldRepository();
  const repository = await Repository.open(store);
  const chain = await putChain(repository, 2);
  const put = store.put.bind(store);
  store.put = (key, body, options) =>
    key === 'config.json' ? Promise.reject(new Error('no')) : put(key, body, options);
  await expect(putDerived(repository, chain[1]!)).rejects.toThrow('no');
  expect((await repository.objects()).length).toBe(2);
});

it('asks of a derived object, too, that its parent state is there', async () => {
  const repository = await Repository.init(new MemoryStore());
  const chain = await putChain(repository, 3);
  await remove(repository, chain);
  const error: unknown = await putDerived(repository, chain[2]!, chain[0]).catch((reason: unknown) => reason);
  expect(isFitdocError(error, 'CHECKPOINT_NOT_FOUND')).toBe(true);
});
