import { expect, it } from 'vitest';
import { foresee, planHistory, type CheckpointEntry } from '../src/index.js';
import { modelEntry } from './support/model-entries.js';

function chainOf(length: number): CheckpointEntry[] {
  return Array.from({ length }, (_, index) =>
    modelEntry({ state: index + 1, sequence: index, ...(index === 0 ? {} : { parent: index }) }),
  );
}

function foreseenOf(entries: readonly CheckpointEntry[], keepLast: number) {
  const request = { machineId: 'm1', entries, tags: [], nowMs: 1_750_000_500_000 };
  const plan = planHistory({ ...request, policy: { keepLast }, pace: 'exact' });
  return { plan, foreseen: foresee(plan, entries) };
}

it('says exactly what goes where nothing must be merged', () => {
  const entries = chainOf(6);
  const { plan, foreseen } = foreseenOf(entries, 6);
  expect(plan.jobs).toEqual([]);
  expect(foreseen).toEqual({ freedBytes: 0, isEstimate: false });
});

it('estimates what merging frees, by what it writes at most', () => {
  const entries = chainOf(40);
  const { plan, foreseen } = foreseenOf(entries, 3);
  const all = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const kept = entries.slice(-2).reduce((sum, { bytes }) => sum + bytes, 0);
  expect(plan.jobs.length).toBeGreaterThan(0);
  expect(foreseen.isEstimate).toBe(true);
  expect(foreseen.freedBytes).toBeGreaterThanOrEqual(0);
  expect(foreseen.freedBytes).toBeLessThanOrEqual(all - kept);
});
