import type { ProtectionEvent } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
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

it('waits for a guest that its operator stopped, counts no failure, and goes on with an increment', async () => {
  setup = await setUp('memory=4M&workload=kv&stop-after=2&stop-for=300ms');
  const events: ProtectionEvent[] = [];
  const protection = await setup.engine.protect(setup.machine, setup.repository, {
    onEvent: (event) => events.push(event),
  });
  const kinds: string[] = [];
  for await (const { entry } of protection.run({ everyMs: 20, count: 4 })) kinds.push(entry.kind);
  expect(kinds).toEqual(['base', 'increment', 'increment', 'increment']);
  const told = events.map(({ type }) => type).filter((type) => !['checkpoint', 'progress'].includes(type));
  expect(told.filter((type) => type !== 'skipped')).toEqual(['standing', 'running']);
});

it('ends at once while the guest stands, when it is asked to', async () => {
  setup = await setUp('memory=4M&workload=kv&stop-after=1');
  const protection = await setup.engine.protect(setup.machine, setup.repository);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 400);
  let taken = 0;
  for await (const _ of protection.run({ everyMs: 5, stop: stop.signal })) taken++;
  expect(taken).toBe(1);
});

it('ends without an error at a guest that powered off', async () => {
  setup = await setUp('memory=4M&workload=kv&power-off=2');
  const events: ProtectionEvent[] = [];
  const protection = await setup.engine.protect(setup.machine, setup.repository, {
    onEvent: (event) => events.push(event),
  });
  let taken = 0;
  for await (const _ of protection.run({ everyMs: 1 })) taken++;
  expect(taken).toBe(2);
  expect(events.at(-1)).toMatchObject({ type: 'ended', error: { code: 'MACHINE_GONE' } });
  expect(events.some(({ type }) => type === 'checkpoint-failed')).toBe(false);
});

it('ends at the fifth equal error that no retry can cure, and at none that passes', async () => {
  setup = await setUp('memory=4M&workload=kv');
  const { machine } = setup;
  const capture = machine.capture.bind(machine);
  let calls = 0;
  const failing = (code: 'PROTOCOL_ERROR' | 'STORE_FULL', times: number) => {
    calls = 0;
    machine.capture = async (...args) => {
      if (++calls > times) return capture(...args);
      throw new FitdocError(code, `No such section at byte ${calls * 4096}.`);
    };
  };
  const protection = await setup.engine.protect(machine, setup.repository);
  const run = async (): Promise<void> => {
    for await (const _ of protection.run({ everyMs: 1, count: 1 }));
  };
  failing('PROTOCOL_ERROR', Infinity);
  await expect(run()).rejects.toMatchObject({ code: 'PROTOCOL_ERROR' });
  expect(calls).toBe(5);
  failing('PROTOCOL_ERROR', 4);
  await run();
  failing('STORE_FULL', 7);
  await run();
  expect(calls).toBe(8);
});
