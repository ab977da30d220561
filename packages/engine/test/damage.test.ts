import { FitdocError, isFitdocError, type Store } from '@fitdoc/interface';
import type { ProtectionEvent } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import { withFaults, type FaultPlan } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { afterEach, describe, expect, it } from 'vitest';
import { setUp, takeMany, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

type Way = (store: Store, key: string) => Promise<unknown>;

const WAYS: readonly [string, Way][] = [
  ['missing', (store, key) => store.delete(key)],
  [
    'cut off',
    async (store, key) => store.put(key, (await store.get(key)).slice(0, -20), { mode: 'replace' }),
  ],
  ['empty', (store, key) => store.put(key, new Uint8Array(), { mode: 'replace' })],
  ['foreign', (store, key) => store.put(key, new TextEncoder().encode('no checkpoint'), { mode: 'replace' })],
];

const SMALL = 'memory=4M&workload=kv&seed=3';

async function chainOf(
  length: number,
  store?: Store,
): Promise<{ made: Setup; keys: string[]; hashes: string[] }> {
  const made = await setUp(SMALL, store);
  setup = made;
  const protection = await made.engine.protect(made.machine, made.repository);
  const taken = await takeMany(protection, length, made.hash);
  await protection.end();
  const keys = (await made.repository.checkpoints()).map(({ key }) => key);
  return { made, keys, hashes: taken.map(({ hash }) => hash) };
}

describe.each(WAYS)('an object of the chain that is %s', (_name, way) => {
  it('found at the attach leads to a new base, and what does not stand on it stays restorable', async () => {
    const { made, keys, hashes } = await chainOf(4);
    const ids = (await made.repository.checkpoints()).map(({ id }) => id);
    await way(made.store, keys[2]!);
    const events: ProtectionEvent[] = [];
    const again = await made.engine.protect(made.machine, made.repository, {
      onEvent: (event) => events.push(event),
    });
    expect(events.at(-1)).toMatchObject({
      type: 'resume-failed',
      error: { code: 'REPOSITORY_DAMAGED', details: { missingParentId: ids[2] } },
    });
    const { entry } = await again.checkpoint({ full: true });
    expect(entry).toMatchObject({ kind: 'base', sequence: 4 });
    expect(await made.restored(entry.id)).toBe(await made.hash());
    expect(await made.restored(ids[1]!)).toBe(hashes[1]);
    expect((await again.checkpoint()).entry.kind).toBe('increment');
  });

  it('at its end is left out: the checkpoint before it is gone on from, under a number of its own', async () => {
    const { made, keys } = await chainOf(3);
    const ids = (await made.repository.checkpoints()).map(({ id }) => id);
    await way(made.store, keys[2]!);
    const events: ProtectionEvent[] = [];
    const again = await made.engine.protect(made.machine, made.repository, {
      onEvent: (event) => events.push(event),
    });
    const there = (await made.repository.list()).some(({ key }) => key === keys[2]);
    expect(events.map(({ type }) => type)).toEqual([...(there ? ['damaged'] : []), 'resuming', 'resumed']);
    const { entry } = await again.checkpoint({ full: true });
    expect(entry).toMatchObject({ parentId: ids[1], sequence: there ? 3 : 2 });
    expect(await made.restored(entry.id)).toBe(await made.hash());
  });

  it('while it is protected is noticed, and the next checkpoint goes on without it', async () => {
    const made = await setUp(SMALL);
    setup = made;
    const events: ProtectionEvent[] = [];
    const protection = await made.engine.protect(made.machine, made.repository, {
      watchChainMs: 0,
      onEvent: (event) => events.push(event),
    });
    const [, second] = await takeMany(protection, 3, made.hash);
    const [, lost] = await made.repository.checkpoints();
    await way(made.store, lost!.key);
    await protection.checkpoint();
    await expect
      .poll(() => events.find(({ type }) => type === 'chain-broken'))
      .toMatchObject({
        error: { code: 'REPOSITORY_DAMAGED', details: { missingParentId: second!.id } },
      });
    const { entry } = await protection.checkpoint();
    expect(entry.kind).toBe('base');
    expect(await made.restored(entry.id)).toBe(await made.hash());
    await protection.end();
  });
});

it('damage that others found inside an object is believed', async () => {
  const { made, keys } = await chainOf(1);
  const events: ProtectionEvent[] = [];
  const protection = await made.engine.protect(made.machine, made.repository, {
    onEvent: (event) => events.push(event),
  });
  await protection.checkpoint();
  const bytes = await made.store.get(keys[0]!);
  bytes[Math.floor(bytes.length / 3)]! ^= 0x40;
  await made.store.put(keys[0]!, bytes, { mode: 'replace' });
  protection.distrust(['machines/other/object'], new FitdocError('VERIFY_FAILED', 'Not ours.'));
  expect((await protection.checkpoint()).entry.kind).toBe('increment');
  protection.distrust([keys[0]!], new FitdocError('VERIFY_FAILED', 'Ours.'));
  const { entry } = await protection.checkpoint();
  expect(entry.kind).toBe('base');
  expect(events.find(({ type }) => type === 'resume-failed')).toMatchObject({
    error: { details: { key: keys[0] } },
  });
  expect(await made.restored(entry.id)).toBe(await made.hash());
});

describe('is not taken for damage, and no base is taken:', () => {
  const faults: readonly [string, Error, string][] = [
    ['what may not be read', new FitdocError('STORE_DENIED', 'EACCES'), 'STORE_DENIED'],
    ['a store that does not answer', new FitdocError('STORE_UNAVAILABLE', 'no route'), 'STORE_UNAVAILABLE'],
  ];

  it.each(faults)('%s', async (_name, error, code) => {
    let plan: FaultPlan = () => undefined;
    const store = withFaults(new MemoryStore(), (call) => plan(call));
    const { made, keys } = await chainOf(4, store);
    for (const at of [1, 3]) {
      plan = ({ operation, key }) => (operation === 'get' && key === keys[at] ? { error } : undefined);
      // Another process, which has read nothing yet.

      const repository = await Repository.open(store);
      await expect(made.engine.protect(made.machine, repository)).rejects.toMatchObject({ code });
      await repository.close();
    }
    plan = () => undefined;
    const again = await made.engine.protect(made.machine, made.repository);
    expect((await again.checkpoint({ full: true })).entry.kind).toBe('increment');
  });

  it('a place that is empty now, or holds another repository', async () => {
    const real = new MemoryStore();
    const other = new MemoryStore();
    let mounted: Store = real;
    const store: Store = new Proxy(real, {
      get: (_target, name) => {
        const value: unknown = Reflect.get(mounted, name);
        return typeof value === 'function' ? (value.bind(mounted) as unknown) : value;
      },
    });
    const { made } = await chainOf(1, store);
    const protection = await made.engine.protect(made.machine, made.repository, { watchChainMs: 0 });
    await protection.checkpoint();
    mounted = other;
    const failure = async (): Promise<unknown> => protection.checkpoint().catch((error: unknown) => error);
    for (let i = 0; i < 3; i++) expect(isFitdocError(await failure())).toBe(true);

    await Repository.init(other);
    expect(await failure()).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    mounted = real;
    expect((await protection.checkpoint()).entry.kind).toBe('increment');
    expect(await made.repository.checkpoints()).toHaveLength(3);
    await protection.end();
  });
});

it('an object that a failing disk does not give in several tries counts as lost', async () => {
  const failing = new FitdocError('STORE_UNAVAILABLE', 'EIO', { details: { errno: 'EIO' } });
  let plan: FaultPlan = () => undefined;
  const store = withFaults(new MemoryStore(), (call) => plan(call));
  const { made, keys } = await chainOf(3, store);
  plan = ({ operation, key }) => (operation === 'get' && key === keys[1] ? { error: failing } : undefined);

  const repository = await Repository.open(store);
  const again = await made.engine.protect(made.machine, repository);
  expect((await again.checkpoint({ full: true })).entry.kind).toBe('base');
  await repository.close();
});
