import { compact, compactable, compare, CheckpointSource, exportRaw, verify } from '@fitdoc/engine';
import { mockMachine } from '@fitdoc/hypervisor-mock';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { setUp, takeMany, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

describe('compaction', () => {
  it('merges increments into one that restores to the same', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    const taken = await takeMany(protection, 8, setup.hash);
    const chain = await setup.repository.chain(await setup.repository.resolve('latest'));
    const { entry, kept } = await compact(setup.engine, setup.repository, chain.slice(2, 6));
    expect(kept).toEqual([]);
    expect(entry.kind).toBe('increment');
    expect(await setup.repository.list()).toHaveLength(5);
    expect(await setup.restored(entry.id)).toBe(taken[5]?.hash);
    for (const index of [0, 1, 6, 7]) {
      expect(await setup.restored(taken[index]?.id ?? '')).toBe(taken[index]?.hash);
    }
    const next = await protection.checkpoint();
    expect(await setup.restored(next.entry.id)).toBe(await setup.hash());
  });

  it('folds increments into their base', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    const taken = await takeMany(protection, 6, setup.hash);
    const chain = await setup.repository.chain(await setup.repository.resolve('latest'));
    const { entry } = await compact(setup.engine, setup.repository, chain.slice(0, 4));
    expect(entry.kind).toBe('base');
    expect(await setup.restored(entry.id)).toBe(taken[3]?.hash);
    expect(await setup.restored(taken[5]?.id ?? '')).toBe(taken[5]?.hash);
    const next = await protection.checkpoint();
    expect(await setup.restored(next.entry.id)).toBe(await setup.hash());
  });

  it('merges what a policy does not keep', async () => {
    setup = await setUp('memory=4M&workload=kv&seed=9');
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    const taken = await takeMany(protection, 6, setup.hash);
    const runs = await compactable(setup.repository, { keepLast: 2 });
    expect(runs.length).toBeGreaterThan(0);
    for (const run of runs) await compact(setup.engine, setup.repository, run);
    expect((await setup.repository.list()).length).toBeLessThan(6);
    expect(await setup.restored(taken[5]?.id ?? '')).toBe(taken[5]?.hash);
  });

  it('refuses checkpoints that are no run', async () => {
    setup = await setUp('memory=4M&workload=kv&seed=9');
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    await takeMany(protection, 4, setup.hash);
    const chain = await setup.repository.chain(await setup.repository.resolve('latest'));
    await expect(compact(setup.engine, setup.repository, [chain[1]!, chain[3]!])).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });
});

describe('verification', () => {
  it('finds nothing in what is whole, and names what is damaged', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    await takeMany(protection, 4, setup.hash);
    const entries = await setup.repository.list();
    const whole = await verify(setup.repository, entries, { data: 1 });
    expect(whole.findings).toEqual([]);
    expect(whole.bytes).toBeGreaterThan(0);

    const victim = entries[1]!;
    const bytes = await setup.store.get(victim.key);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    await setup.store.put(victim.key, bytes, { mode: 'replace' });
    const damaged = await verify(setup.repository, entries, { data: 1 });
    expect(damaged.findings.map(({ key }) => key)).toContain(victim.key);
  });

  it('finds a chain whose link is missing', async () => {
    setup = await setUp('memory=4M&workload=kv&seed=9');
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    await takeMany(protection, 3, setup.hash);
    const entries = await setup.repository.list();
    await setup.store.delete(entries[1]!.key);
    const report = await verify(setup.repository, await setup.repository.list());
    expect(report.findings).toHaveLength(1);
    expect(report.findings[0]).toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  });
});

describe('comparison', () => {
  it('counts what changed between two checkpoints, either way round', async () => {
    setup = await setUp();
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    await protection.checkpoint();
    const one = await protection.checkpoint();
    const two = await protection.checkpoint();
    const forth = await compare(setup.engine, setup.repository, [one.entry, two.entry]);
    expect(forth.pages).toBe(two.cost.changedPages);
    expect(forth.words).toBe(two.cost.changedWords);
    expect(forth.map.count()).toBe(forth.pages);
    const back = await compare(setup.engine, setup.repository, [two.entry, one.entry]);
    expect(back.words).toBe(forth.words);
    const same = await compare(setup.engine, setup.repository, [two.entry, two.entry]);
    expect(same).toMatchObject({ pages: 0, words: 0 });
  });
});

describe('export', () => {
  it('writes the main memory from its first page, in windows far smaller than it', async () => {
    setup = await setUp('memory=32M&workload=random&seed=6');
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    await takeMany(protection, 3, setup.hash);
    const entry = await setup.repository.resolve('latest');
    const folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-'));
    const file = path.join(folder, 'memory.raw');
    const source = await CheckpointSource.open(setup.engine, setup.repository, entry, { memory: 2 ** 24 });
    const report = await exportRaw(source, file);
    const written = await readFile(file);
    expect(written).toHaveLength(report.bytes);
    const guest = await mockMachine(setup.name);
    const expected = new Uint8Array(written.length);
    for (let gfn = 0; gfn < written.length / 4096; gfn++) {
      const page = guest.memory.peek(gfn);
      if (page) expected.set(new Uint8Array(page.buffer, page.byteOffset, 4096), gfn * 4096);
    }
    expect(written.equals(expected)).toBe(true);
    await rm(folder, { recursive: true });
  });
});
