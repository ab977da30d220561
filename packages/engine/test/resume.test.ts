import { hypervisor } from '@fitdoc/hypervisor-mock';
import type { ProtectionEvent } from '@fitdoc/engine';
import { afterEach, expect, it } from 'vitest';
import { setUp, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

it('a new process goes on with an increment that holds only the words that differ', async () => {
  setup = await setUp();
  const first = await setup.engine.protect(setup.machine, setup.repository);
  const base = await first.checkpoint();
  await first.checkpoint();
  await first.end();
  await setup.machine.detach();

  const machine = await hypervisor.attach(setup.name);
  const events: ProtectionEvent[] = [];
  const second = await setup.engine.protect(machine, setup.repository, {
    onEvent: (event) => events.push(event),
  });
  expect(events.map(({ type }) => type)).toEqual(['resuming', 'resumed']);
  const next = await second.checkpoint();
  expect(next.entry).toMatchObject({ kind: 'increment', sequence: 2 });
  // All that the guest uses was delivered; what was stored is an ordinary increment's.
  expect(next.cost.dirtyPages).toBeGreaterThan(base.cost.dirtyPages * 0.9);
  expect(next.entry.bytes).toBeLessThan(base.entry.bytes / 4);
  expect(await setup.restored(next.entry.id)).toBe(await setup.hash());
  await machine.detach();
});

it('pages that became zero while nobody was attached are zero in the next checkpoint', async () => {
  setup = await setUp('memory=8M&workload=random&seed=4');
  const first = await setup.engine.protect(setup.machine, setup.repository);
  await first.checkpoint();
  await first.end();
  await setup.machine.detach();
  const machine = await hypervisor.attach(setup.name);
  const second = await setup.engine.protect(machine, setup.repository);
  for (let i = 0; i < 3; i++) {
    const { entry } = await second.checkpoint();
    expect(await setup.restored(entry.id)).toBe(await setup.hash());
  }
  await machine.detach();
});

it('forks from an earlier checkpoint', async () => {
  setup = await setUp();
  const first = await setup.engine.protect(setup.machine, setup.repository);
  const base = await first.checkpoint();
  const other = await first.checkpoint();
  await first.end();
  const fork = await setup.engine.protect(setup.machine, setup.repository, { from: base.entry.id });
  const { entry } = await fork.checkpoint({ full: true });
  expect(entry.parentId).toBe(base.entry.id);
  expect(entry.sequence).toBe(other.entry.sequence + 1);
  expect(await setup.restored(entry.id)).toBe(await setup.hash());
});

it('starts over when the chain is damaged, and says so', async () => {
  setup = await setUp();
  const first = await setup.engine.protect(setup.machine, setup.repository);
  const base = await first.checkpoint();
  await first.end();
  const bytes = await setup.store.get(base.entry.key);
  bytes[Math.floor(bytes.length / 3)]! ^= 0x40;
  await setup.store.put(base.entry.key, bytes, { mode: 'replace' });
  const events: ProtectionEvent[] = [];
  const second = await setup.engine.protect(setup.machine, setup.repository, {
    onEvent: (event) => events.push(event),
  });
  expect(events.at(-1)).toMatchObject({
    type: 'resume-failed',
    error: { code: expect.stringMatching(/FORMAT|CODEC/) as string },
  });
  const { entry } = await second.checkpoint({ full: true });
  expect(entry).toMatchObject({ kind: 'base', sequence: 1 });
  expect(await setup.restored(entry.id)).toBe(await setup.hash());
  await second.end();
  await expect(
    setup.engine.protect(setup.machine, setup.repository, { resume: 'required', from: base.entry.id }),
  ).rejects.toMatchObject({ code: expect.stringMatching(/FORMAT|CODEC/) as string });
});

it('goes on from what is left when its last checkpoint is deleted under it', async () => {
  setup = await setUp();
  const protection = await setup.engine.protect(setup.machine, setup.repository);
  const base = await protection.checkpoint();
  const deleted = await protection.checkpoint();
  await setup.repository.delete([deleted.entry]);
  await expect(protection.checkpoint()).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  const next = await protection.checkpoint();
  expect(next.entry.parentId).toBe(base.entry.id);
  expect(await setup.restored(next.entry.id)).toBe(await setup.hash());
  const after = await protection.checkpoint();
  expect(await setup.restored(after.entry.id)).toBe(await setup.hash());
});
