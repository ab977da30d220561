import { KIND_WORDS } from '@fitdoc/interface';
import { afterEach, expect, it } from 'vitest';
import { setUp, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

/** Counts, from what is stored alone, the increments that rebuilding each page takes. */
async function storedDepths({ repository }: Setup, id: string): Promise<Map<number, number>> {
  const depths = new Map<number, number>();
  for (const entry of await repository.chain(await repository.resolve(id))) {
    const reader = await repository.openCheckpoint(entry);
    for (let index = 0; index < reader.batches.length; index++) {
      const { gfns, kinds } = await reader.readBatch(index);
      gfns.forEach((gfn, page) => {
        const onTop = kinds[page] === KIND_WORDS && entry.kind === 'increment';
        depths.set(gfn, onTop ? (depths.get(gfn) ?? 0) + 1 : 0);
      });
    }
  }
  return depths;
}

it.each([
  { maxIncrements: 4, captures: 14 },
  { maxIncrements: 32, captures: 40 },
])('no page needs more than $maxIncrements increments', async ({ maxIncrements, captures }) => {
  setup = await setUp('memory=4M&workload=kv&seed=2');
  const protection = await setup.engine.protect(setup.machine, setup.repository, {
    maxIncrements,
    maxReplayPages: 100,
  });
  for (let i = 0; i < captures; i++) await protection.checkpoint();
  const head = protection.head?.entry.id ?? '';
  const depths = [...(await storedDepths(setup, head)).values()];
  // Reached, so that the limit is what held it.
  expect(Math.max(...depths)).toBe(maxIncrements);
  expect(protection.deepestPage).toBe(maxIncrements);
  expect(await setup.restored(head)).toBe(await setup.hash());
});

it('a page whose words outweigh it is written whole long before that', async () => {
  setup = await setUp('memory=4M&workload=stencil&seed=2');
  const protection = await setup.engine.protect(setup.machine, setup.repository, { maxReplayPages: 1 });
  for (let i = 0; i < 12; i++) await protection.checkpoint();
  expect(protection.deepestPage).toBeLessThan(12);
});

it('the count goes on when a chain is loaded again', async () => {
  setup = await setUp('memory=4M&workload=kv&seed=2');
  for (let attach = 0; attach < 4; attach++) {
    const protection = await setup.engine.protect(setup.machine, setup.repository, {
      maxIncrements: 4,
      maxReplayPages: 100,
    });
    for (let i = 0; i < 3; i++) await protection.checkpoint();
    await protection.end();
  }
  const latest = await setup.repository.resolve('latest');
  const depths = [...(await storedDepths(setup, latest.id)).values()];
  expect(Math.max(...depths)).toBe(4);
});
