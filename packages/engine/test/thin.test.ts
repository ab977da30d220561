import { thin, type Protection, type ThinEvent } from '@fitdoc/engine';
import type { Repository } from '@fitdoc/repository';
import { afterEach, expect, it } from 'vitest';
import { setUp, takeMany, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

async function objectsOf(repository: Repository): Promise<number> {
  return (await repository.objects()).length;
}

it('frees what no rule keeps, with the words that only it held, and goes on', async () => {
  setup = await setUp('memory=4M&workload=kv&seed=9');
  const { engine, repository } = setup;
  const protection: Protection = await engine.protect(setup.machine, repository);
  const taken = await takeMany(protection, 40, setup.hash);
  const events: ThinEvent[] = [];
  const machine = setup.machine.info.id;
  const report = await thin(engine, repository, machine, { keepLast: 3 }, { onEvent: (e) => events.push(e) });
  expect(report.failures).toEqual([]);
  expect(report.merges).toBeGreaterThan(0);
  expect(report.plan.jobs).toEqual([]);
  expect(report.freedBytes).toBeGreaterThan(0);
  expect((await repository.checkpoints()).map(({ id }) => id)).toEqual(taken.slice(-3).map(({ id }) => id));
  expect(await objectsOf(repository)).toBeLessThanOrEqual(6);
  for (const { id, hash } of taken.slice(-3)) expect(await setup.restored(id)).toBe(hash);
  for (let i = 0; i < 10; i++) {
    const more = await takeMany(protection, 7, setup.hash);
    await thin(engine, repository, machine, { keepLast: 3 });
    for (const { id, hash } of more.slice(-3)) expect(await setup.restored(id)).toBe(hash);
    expect(await objectsOf(repository)).toBeLessThanOrEqual(8);
  }
  expect(events.some(({ type }) => type === 'merged')).toBe(true);
});
