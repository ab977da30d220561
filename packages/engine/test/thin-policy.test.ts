import { thin, type ThinReport } from '@fitdoc/engine';
import { afterEach, expect, it } from 'vitest';
import { setUp, type Setup } from './support.js';

/** Of the bytes captured, what merging may write. */
const WRITTEN_MOST = 1.5;
/** Checkpoints between two prunes, and between two looks in the background, as the daemon has them at 50 ms. */
const PRUNE_EVERY = 48;
const LOOK_EVERY = 16;

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

it('reaches a small policy at every prune, and writes little for it', { timeout: 240_000 }, async () => {
  setup = await setUp('memory=8M&workload=kv&seed=5');
  const { engine, repository } = setup;
  const machine = setup.machine.info.id;
  const protection = await engine.protect(setup.machine, repository);
  const policy = { keepLast: 10 };
  const left: number[] = [];
  let [captured, written] = [0, 0];
  for (let nth = 1; nth <= 5 * PRUNE_EVERY; nth++) {
    const { entry } = await protection.checkpoint();
    if (entry.kind === 'increment') captured += entry.bytes;
    if (nth % LOOK_EVERY > 0) continue;
    const isPrune = nth % PRUNE_EVERY === 0;
    const report: ThinReport = isPrune
      ? await thin(engine, repository, machine, policy, { pace: 'prompt' })
      : await thin(engine, repository, machine, policy, { pace: 'lazy', merges: 4, removals: 32 });
    written += report.writtenBytes;
    expect(report.plan.path.worst).toBeLessThanOrEqual(48);
    if (isPrune) left.push((await repository.checkpoints()).length);
  }
  console.info(
    `thin: restore points after each prune ${left.join(' ')} (10 asked for); ${written} bytes written for ${captured} captured: ${(written / captured).toFixed(2)}`,
  );
  // The ten, what was last merged behind them, and fewer than are worth a merge.
  expect(Math.max(...left)).toBeLessThanOrEqual(10 + 7 + 7);
  expect(written).toBeLessThanOrEqual(WRITTEN_MOST * captured);
  const { entry } = await protection.checkpoint();
  const head = await setup.hash();
  expect(await setup.restored(entry.id)).toBe(head);
  await thin(engine, repository, machine, policy);
  expect((await repository.checkpoints()).length).toBeLessThanOrEqual(11);
  await protection.end();
});
