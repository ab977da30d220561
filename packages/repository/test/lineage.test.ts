import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Lineage, type CheckpointEntry } from '../src/index.js';
import { modelEntry } from './support/model-entries.js';

interface Step {
  readonly parent: number;
  readonly base: boolean;
  readonly bytes: number;
}
interface Jump {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

const steps = fc.array(
  fc.record({ parent: fc.nat(), base: fc.boolean(), bytes: fc.integer({ min: 1, max: 9 }) }),
  { minLength: 1, maxLength: 14 },
);
const jumps = fc.array(fc.record({ from: fc.nat(), to: fc.nat(), bytes: fc.integer({ min: 1, max: 9 }) }), {
  maxLength: 12,
});

/** Captured checkpoints with forks, derived ones from any state to any later one, and some objects lost. */
function graph(captured: readonly Step[], derived: readonly Jump[], lost: () => boolean): CheckpointEntry[] {
  const entries = captured.map((step, index) =>
    modelEntry({
      state: index + 1,
      sequence: index,
      bytes: step.bytes,
      ...(step.base && index > 0 ? {} : index === 0 ? {} : { parent: (step.parent % index) + 1 }),
    }),
  );
  const jumped = derived.flatMap(({ from, to, bytes }, index) => {
    const [low, high] = [from % captured.length, to % captured.length];
    if (low > high) return [];
    const parent = low === high ? {} : { parent: low + 1 };
    return [modelEntry({ state: high + 1, sequence: high, bytes, derived: 1_000 + index, ...parent })];
  });
  return [...entries, ...jumped].filter(() => !lost());
}

/** All ways to a state, by trying them. */
function allWays(entries: readonly CheckpointEntry[], state: string): CheckpointEntry[][] {
  return entries
    .filter((entry) => entry.contentHash === state)
    .flatMap((entry) =>
      entry.parentContentHash === undefined
        ? [[entry]]
        : allWays(entries, entry.parentContentHash).map((way) => [...way, entry]),
    );
}

const bytesOf = (way: readonly CheckpointEntry[]) => way.reduce((sum, entry) => sum + entry.bytes, 0);

it('finds the way of fewest objects, then of fewest bytes, or none where none is whole', () => {
  fc.assert(
    fc.property(steps, jumps, fc.infiniteStream(fc.nat({ max: 5 })), (captured, derived, dice) => {
      const entries = graph(captured, derived, () => dice.next().value === 0);
      const lineage = new Lineage(entries);
      for (const entry of entries) {
        const ways = allWays(entries, entry.contentHash);
        const least = ways
          .map((way) => ({ objects: way.length, bytes: bytesOf(way) }))
          .sort((one, other) => one.objects - other.objects || one.bytes - other.bytes)[0];
        expect(lineage.cost(entry)).toEqual(least);
        if (!least) {
          expect(() => lineage.chain(entry)).toThrowError(
            expect.objectContaining({ code: 'REPOSITORY_DAMAGED' }),
          );
          continue;
        }
        const chain = lineage.chain(entry);
        expect(ways).toContainEqual(chain);
        expect({ objects: chain.length, bytes: bytesOf(chain) }).toEqual(least);
      }
    }),
    { numRuns: 500 },
  );
});

it('shows every state once, with the captured object while it is there', () => {
  fc.assert(
    fc.property(steps, jumps, fc.infiniteStream(fc.nat({ max: 2 })), (captured, derived, dice) => {
      const entries = graph(captured, derived, () => dice.next().value === 0);
      const faces = new Lineage(entries).states();
      expect(new Set(faces.map((face) => face.contentHash)).size).toBe(faces.length);
      expect(new Set(faces.map((face) => face.contentHash))).toEqual(
        new Set(entries.map((entry) => entry.contentHash)),
      );
      for (const face of faces) {
        const own = entries.filter((entry) => entry.contentHash === face.contentHash);
        if (own.some((entry) => entry.state === undefined)) expect(face.state).toBeUndefined();
      }
    }),
    { numRuns: 200 },
  );
});

it('leads nowhere through objects that were mixed up', () => {
  const base = modelEntry({ state: 1, sequence: 5 });
  const early = modelEntry({ state: 2, sequence: 5, parent: 1 });
  const foreign = { ...modelEntry({ state: 3, sequence: 6, parent: 1 }), machineId: 'other' };
  const loop = [
    modelEntry({ state: 4, sequence: 7, parent: 5 }),
    modelEntry({ state: 5, sequence: 7, parent: 4 }),
  ];
  const lineage = new Lineage([base, early, foreign, ...loop]);
  for (const entry of [early, foreign, ...loop]) {
    expect(lineage.cost(entry)).toBeUndefined();
    expect(() => lineage.chain(entry)).toThrowError(expect.objectContaining({ code: 'REPOSITORY_DAMAGED' }));
  }
  const gone = modelEntry({ state: 9, sequence: 9 });
  expect(() => lineage.chain(gone)).toThrowError(expect.objectContaining({ code: 'CHECKPOINT_NOT_FOUND' }));
});

it('goes up over restore points, whichever objects lead there', () => {
  const chain = [1, 2, 3, 4, 5, 6].map((state) =>
    modelEntry({ state, sequence: state, ...(state === 1 ? {} : { parent: state - 1 }) }),
  );
  const jump = modelEntry({ state: 6, sequence: 6, parent: 1, derived: 100 });
  const forward = modelEntry({ state: 6, sequence: 6, derived: 101 });
  const whole = new Lineage([...chain, jump, forward]);
  expect(whole.chain(chain[5]!)).toEqual([forward]);
  expect(whole.previousOf(chain[5]!)).toBe(chain[4]);
  expect(whole.leaves()).toEqual([chain[5]]);
  const thinned = new Lineage([chain[0]!, jump, forward]);
  expect(thinned.previousOf(jump)).toBe(chain[0]);
  expect(thinned.previousOf(chain[0]!)).toBeUndefined();
  expect(thinned.states()).toEqual([chain[0], jump]);
  expect(thinned.leaves()).toEqual([jump]);
});
