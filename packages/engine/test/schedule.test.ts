import type { ProtectionEvent } from '@fitdoc/engine';
import { afterEach, expect, it } from 'vitest';
import { setUp, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

it('counts checkpoints, not failures, and goes on after a failure', async () => {
  setup = await setUp('memory=4M&workload=kv&fail-capture=3');
  const events: ProtectionEvent[] = [];
  const protection = await setup.engine.protect(setup.machine, setup.repository, {
    onEvent: (event) => events.push(event),
  });
  const sequences: number[] = [];
  for await (const { entry } of protection.run({ everyMs: 1, count: 4 })) sequences.push(entry.sequence);
  expect(sequences).toEqual([0, 1, 2, 3]);
  expect(events.filter(({ type }) => type === 'checkpoint-failed').length).toBeGreaterThan(0);
});

it('finishes what is under way when asked to stop, and takes no more', async () => {
  setup = await setUp('memory=4M&workload=kv&slow-capture=50');
  const protection = await setup.engine.protect(setup.machine, setup.repository);
  const stop = new AbortController();
  let taken = 0;
  setTimeout(() => stop.abort(), 20);
  for await (const _ of protection.run({ everyMs: 5, stop: stop.signal })) taken++;
  expect(taken).toBe(1);
  expect(await setup.repository.checkpoints()).toHaveLength(1);
});

it('leaves out what it has no time for, and says so', async () => {
  setup = await setUp('memory=4M&workload=kv&slow-capture=60');
  const events: ProtectionEvent[] = [];
  const protection = await setup.engine.protect(setup.machine, setup.repository, {
    onEvent: (event) => events.push(event),
  });
  for await (const _ of protection.run({ everyMs: 10, count: 3 }));
  expect(events.some((event) => event.type === 'skipped' && event.missed > 0)).toBe(true);
});

it('ends with the error of a machine that died', async () => {
  setup = await setUp('memory=4M&workload=kv&die-at=3');
  const protection = await setup.engine.protect(setup.machine, setup.repository);
  const run = async (): Promise<void> => {
    for await (const _ of protection.run({ everyMs: 1 }));
  };
  await expect(run()).rejects.toMatchObject({ code: 'MACHINE_GONE' });
  expect(await setup.repository.checkpoints()).toHaveLength(2);
});

it('stops at once at a guest that was left paused', async () => {
  setup = await setUp('memory=4M&workload=kv&leave-paused=2');
  const protection = await setup.engine.protect(setup.machine, setup.repository);
  const run = async (): Promise<void> => {
    for await (const _ of protection.run({ everyMs: 1 }));
  };
  await expect(run()).rejects.toMatchObject({ code: 'MACHINE_PAUSED' });
});
