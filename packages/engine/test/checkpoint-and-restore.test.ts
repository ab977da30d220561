import { afterEach, describe, expect, it } from 'vitest';
import { MoodyStore } from './moody-store.js';
import { setUp, takeMany, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

describe('checkpoints of a machine', () => {
  it('restore to exactly what the machine was, every one of them', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    const taken = await takeMany(protection, 12, setup.hash);
    expect(new Set(taken.map(({ hash }) => hash)).size).toBe(12);
    for (const { id, hash } of taken) expect(await setup.restored(id)).toBe(hash);
  });

  it('hold a base and then only what changed', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    const base = await protection.checkpoint();
    const increment = await protection.checkpoint();
    expect(base.entry.kind).toBe('base');
    expect(increment.entry.kind).toBe('increment');
    expect(increment.entry.parentId).toBe(base.entry.id);
    expect(increment.cost.dirtyPages).toBeGreaterThan(0);
    expect(increment.cost.dirtyPages).toBeLessThan(base.cost.dirtyPages / 2);
    expect(increment.entry.changedWords).toBeLessThanOrEqual(increment.cost.changedWords);
    expect(increment.entry.bytes).toBeLessThan(base.entry.bytes);
  });

  it('work when the staging area is far smaller than what is dirty', async () => {
    setup = await setUp('memory=16M&workload=database&seed=5');
    const protection = await setup.engine.protect(setup.machine, setup.repository, { stagingPages: 16 });
    const taken = await takeMany(protection, 4, setup.hash);
    for (const { id, hash } of taken) expect(await setup.restored(id)).toBe(hash);
  });
});

describe('a checkpoint that cannot be stored', () => {
  it('leaves the machine running, and the next one holds everything', async () => {
    const store = new MoodyStore();
    setup = await setUp('memory=16M&workload=kv&seed=8', store);
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    await protection.checkpoint();
    store.failing = true;
    for (let i = 0; i < 3; i++) {
      await expect(protection.checkpoint()).rejects.toMatchObject({ code: 'STORE_FULL' });
    }
    store.failing = false;
    const { entry } = await protection.checkpoint();
    expect(entry.kind).toBe('increment');
    expect(await setup.restored(entry.id)).toBe(await setup.hash());
  });

  it('may be the base', async () => {
    const store = new MoodyStore();
    setup = await setUp('memory=8M&workload=kv&seed=8', store);
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    store.failing = true;
    await expect(protection.checkpoint()).rejects.toMatchObject({ code: 'STORE_FULL' });
    store.failing = false;
    const { entry } = await protection.checkpoint();
    expect(entry.kind).toBe('base');
    expect(await setup.restored(entry.id)).toBe(await setup.hash());
  });

  it('may have failed anywhere in the capture', async () => {
    setup = await setUp('memory=8M&workload=kv&seed=8&fail-capture=3&fail-harvest=4');
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    let stored = 0;
    let failed = 0;
    for (let i = 0; i < 9; i++) {
      try {
        const { entry } = await protection.checkpoint();
        stored++;
        expect(await setup.restored(entry.id)).toBe(await setup.hash());
      } catch (error) {
        expect(error).toMatchObject({ code: 'CAPTURE_FAILED' });
        failed++;
      }
    }
    expect(stored).toBeGreaterThan(3);
    expect(failed).toBeGreaterThan(1);
  });

  it('when cancelled leaves nothing behind and loses nothing', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    const before = (await setup.repository.list()).length;
    const controller = new AbortController();
    const cancelled = protection.checkpoint({
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await setup.repository.list()).toHaveLength(before);
    const { entry } = await protection.checkpoint();
    expect(await setup.restored(entry.id)).toBe(await setup.hash());
  });

  it('does not overlap another of the same machine', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    const first = protection.checkpoint();
    await expect(protection.checkpoint()).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
    await first;
  });
});
