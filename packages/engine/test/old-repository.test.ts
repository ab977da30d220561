import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
import { isIntact, planHistory, Repository, type CheckpointEntry } from '@fitdoc/repository';
import { storeFactory } from '@fitdoc/store-fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { compact, createEngine, restore, verify, type Engine } from '@fitdoc/engine';
import { machineName } from './support.js';

const vectors = fileURLToPath(new URL('../../repository/test/vectors/', import.meta.url));

interface Expected {
  readonly machine: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly compacted: { readonly id: string; readonly state: string; readonly gone: readonly string[] };
  readonly checkpoints: readonly {
    readonly id: string;
    readonly machineHash: string;
    readonly object: string;
  }[];
}

const expected = JSON.parse(await readFile(`${vectors}repository-0.1.0.json`, 'utf8')) as Expected;
let directory: string;
let repository: Repository;
let engine: Engine;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'fitdoc-old-'));
  await cp(`${vectors}repository-0.1.0`, directory, { recursive: true });
  repository = await Repository.open(await storeFactory.open(directory));
  engine = createEngine({ workers: 1 });
});

afterEach(async () => {
  await engine.close();
  await repository.close();
  await repository.store.close();
  await rm(directory, { recursive: true });
});

async function restored(entry: CheckpointEntry): Promise<string> {
  const target = machineName();
  await restore(engine, { repository, entry, hypervisor, location: target });
  return machineHash(target);
}

it('opens as it was: forks, tags and a compaction', async () => {
  expect(repository.config.version).toBe(1);
  const listed = await repository.list();
  expect(listed.every(isIntact)).toBe(true);
  expect(listed.length).toBe(expected.checkpoints.length);
  for (const [tag, id] of Object.entries(expected.tags)) expect((await repository.resolve(tag)).id).toBe(id);
  for (const gone of expected.compacted.gone) {
    await expect(repository.resolve(gone)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  }
  // What a compaction took the place of is found by its own name, too.
  expect((await repository.resolve(expected.compacted.state)).id).toBe(expected.compacted.id);
  expect((await verify(repository, listed, { data: 1 })).findings).toEqual([]);
});

it('restores every checkpoint to what the guest had', async () => {
  for (const { object, machineHash: hash } of expected.checkpoints) {
    expect(await restored(await repository.resolve(object)), object).toBe(hash);
  }
});

it('is thinned: what stays restores to what it was, and 0.1 refuses what it became', async () => {
  const policy = { keepLast: 2, timeZone: 'UTC' };
  const tags = await repository.tags.list();
  const objects = async () => (await repository.objects()).filter(isIntact);
  const request = { machineId: expected.machine, policy, tags, nowMs: Date.now() };
  const plan = planHistory({ ...request, entries: await objects() });
  const kept = new Set(plan.keep.map(({ entry }) => entry.id));
  for (const id of Object.values(expected.tags)) expect(kept.has(id)).toBe(true);
  const pruned = await repository.prune(policy);
  expect(pruned.removed).toBeGreaterThan(0);
  const left = await repository.checkpoints();
  expect(left.length).toBeLessThan(expected.checkpoints.length);
  for (const { object, id, machineHash: hash } of expected.checkpoints) {
    if (!kept.has(object) && !kept.has(id)) continue;
    expect(await restored(await repository.resolve(object)), object).toBe(hash);
  }
  // The first derived object raises the version, which is all that 0.1 looks at before it refuses.
  await repository.allowDerived();
  const config = JSON.parse(await readFile(path.join(directory, 'config.json'), 'utf8')) as {
    version: number;
  };
  expect(config.version).toBe(2);
});

it('goes on: a guest restored from it is protected on its chain, and compacted', async () => {
  const newest = await repository.resolve('latest');
  await restore(engine, { repository, entry: newest, hypervisor, location: expected.machine });
  const machine = await hypervisor.attach(expected.machine);
  try {
    const protection = await engine.protect(machine, repository);
    const { entry } = await protection.checkpoint();
    const hash = await machineHash(expected.machine);
    expect([entry.kind, entry.parentId]).toEqual(['increment', newest.id]);
    expect(await restored(entry)).toBe(hash);
    await compact(engine, repository, (await repository.chain(entry)).slice(-4));
    expect(await restored(await repository.resolve(entry.id))).toBe(hash);
  } finally {
    await machine.detach();
  }
});
