import { FitdocError } from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';
import { expect, it } from 'vitest';
import { copyCheckpoints, Repository } from '../src/index.js';
import { putChain, putSample } from './support/checkpoints.js';

async function pair(): Promise<{ from: Repository; to: Repository; target: MemoryStore }> {
  const target = new MemoryStore();
  return { from: await Repository.init(new MemoryStore()), to: await Repository.init(target), target };
}

it('copies a checkpoint with its chain and its names, and no more', async () => {
  const { from, to } = await pair();
  const chain = await putChain(from, 4);
  await putSample(from, { machine: 'other' });
  await from.tags.set('golden', chain[1]!);
  const report = await copyCheckpoints(from, to, [chain[2]!]);
  expect(report.copied.map(({ id }) => id)).toEqual(chain.slice(0, 3).map(({ id }) => id));
  expect(report.tags).toEqual(['golden']);
  const there = await to.checkpoints();
  expect(there.map(({ contentHash }) => contentHash)).toEqual(
    chain.slice(0, 3).map(({ contentHash }) => contentHash),
  );
  expect((await to.chain(await to.resolve('golden'))).map(({ id }) => id)).toEqual([
    chain[0]!.id,
    chain[1]!.id,
  ]);
});

it('leaves out what is there, so that a copy can be gone on with', async () => {
  const { from, to, target } = await pair();
  const chain = await putChain(from, 5);
  const put = target.put.bind(target);
  let allowed = 2;
  target.put = async (key, body, options) => {
    if (key.endsWith('.fitdoc') && allowed-- <= 0)
      throw new FitdocError('STORE_UNAVAILABLE', 'the line is cut');
    return put(key, body, options);
  };
  await expect(copyCheckpoints(from, to, chain)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(await to.checkpoints()).toHaveLength(2);
  allowed = Infinity;
  const report = await copyCheckpoints(from, to, chain);
  expect(report.present).toHaveLength(2);
  expect(report.copied).toHaveLength(3);
});

it('stores nothing of an object that is damaged', async () => {
  const { from, to } = await pair();
  const chain = await putChain(from, 2);
  const bytes = await from.store.get(chain[1]!.key);
  bytes[100]! ^= 1;
  await from.store.put(chain[1]!.key, bytes, { mode: 'replace' });
  await expect(copyCheckpoints(from, to, chain)).rejects.toMatchObject({
    code: expect.stringMatching(/^FORMAT_/) as string,
  });
  expect(await to.checkpoints()).toHaveLength(1);
});
