import { setTimeout as sleep } from 'node:timers/promises';
import { restore, thin, verify, verifyHeld, type ProtectionEvent } from '@fitdoc/engine';
import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
import { copyCheckpoints, isIntact, Repository } from '@fitdoc/repository';
import { withFaults } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { machineName, setUp, takeMany, type Setup } from './support.js';

const KEPT = 3;
let setup: Setup;
let taken: { id: string; hash: string }[];
/** The same repository as of another process, and slow, so that much is removed while it is read. */
let slow: Repository;

beforeEach(async () => {
  setup = await setUp('memory=2M&workload=kv&seed=9');
  const protection = await setup.engine.protect(setup.machine, setup.repository);
  taken = await takeMany(protection, 60, setup.hash);
  await protection.end();
  slow = await Repository.open(withFaults(setup.store, () => ({ delayMs: 2 })));
});
afterEach(async () => {
  await slow.close();
  await setup.close();
});

/** Thins time and again until `work` is done, then to the end: nothing that was held may stay. */
async function thinDuring<Result>(work: Promise<Result>): Promise<Result> {
  const { engine, repository, machine } = setup;
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  done.catch(() => undefined);
  const policy = { keepLast: KEPT };
  while (!isDone) {
    await thin(engine, repository, machine.info.id, policy);
    // Nothing else in here lets timers have their turn.
    await sleep(20);
  }
  const result = await done;
  const { plan, failures } = await thin(engine, repository, machine.info.id, policy);
  expect([plan.jobs, plan.remove, failures]).toEqual([[], [], []]);
  const points = (await repository.checkpoints()).map(({ id }) => id);
  expect(points.slice(-KEPT)).toEqual(taken.slice(-KEPT).map(({ id }) => id));
  expect(points.length).toBeLessThan(taken.length / 2);
  return result;
}

it('verifies all that is there', async () => {
  const list = async () => ({ entries: await slow.objects({ audit: true }) });
  const { entries, findings } = await thinDuring(verifyHeld(slow, list, { data: 1 }));
  expect(findings).toEqual([]);
  expect(entries.length).toBeGreaterThanOrEqual(KEPT);
});

it('restores what was the oldest to go, and the newest', async () => {
  const wanted = [taken[0]!, taken[30]!, taken.at(-1)!];
  const restored = Promise.all(
    wanted.map(async ({ id }) => {
      const location = machineName();
      const entry = await slow.resolve(id);
      await restore(setup.engine, { repository: slow, entry, hypervisor, location });
      return machineHash(location);
    }),
  );
  expect(await thinDuring(restored)).toEqual(wanted.map(({ hash }) => hash));
});

it('goes on with the chain, by an increment', async () => {
  const events: ProtectionEvent[] = [];
  const starting = setup.engine.protect(setup.machine, slow, { onEvent: (event) => events.push(event) });
  const protection = await thinDuring(starting);
  expect(events.map(({ type }) => type)).toEqual(['resuming', 'resumed']);
  const { entry } = await protection.checkpoint({ full: true });
  expect(entry).toMatchObject({ kind: 'increment', parentId: taken.at(-1)!.id });
  expect(await setup.restored(entry.id)).toBe(await setup.hash());
  await protection.end();
});

it('copies what is kept, whole', async () => {
  const target = await Repository.init(new MemoryStore());
  const newest = (await slow.checkpoints()).slice(-KEPT);
  await thinDuring(copyCheckpoints(slow, target, newest));
  const objects = await target.objects();
  expect((await verify(target, objects, { data: 1 })).findings).toEqual([]);
  for (const { id, hash } of taken.slice(-KEPT)) {
    const location = machineName();
    const entry = await target.resolve(id);
    expect(isIntact(entry)).toBe(true);
    await restore(setup.engine, { repository: target, entry, hypervisor, location });
    expect(await machineHash(location)).toBe(hash);
  }
  await target.close();
});
