import { parseTrace } from '@fitdoc/hypervisor-mock';
import { PAGE_SIZE } from '@fitdoc/interface';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changedPages, encodeTrace } from '../src/trace.js';

const PAGES = 12;
const write = fc.record({ gfn: fc.nat(PAGES - 1), at: fc.nat(PAGE_SIZE - 1), value: fc.nat(255) });

test('a replay of what was recorded gives every memory that the guest had, in its known pages', () => {
  fc.assert(
    fc.property(fc.array(fc.array(write, { maxLength: 6 }), { minLength: 1, maxLength: 6 }), (epochs) => {
      const first = new Uint8Array(PAGES * PAGE_SIZE).map((_, i) => (i * 7) & 255);
      const memories = [first];
      for (const writes of epochs) {
        const next = (memories.at(-1) as Uint8Array).slice();
        for (const { gfn, at, value } of writes) next[gfn * PAGE_SIZE + at] = value;
        memories.push(next);
      }
      const changes = epochs.map((_, i) =>
        changedPages(memories[i] as Uint8Array, memories[i + 1] as Uint8Array),
      );
      const facts = { workload: 'test', intervalSeconds: 2 };
      const trace = parseTrace(Buffer.concat([...encodeTrace(first, changes, facts)]), 'test');
      expect(trace).toMatchObject({ ...facts, memoryPages: PAGES });
      const replayed = new Uint8Array(first.length);
      for (const [step, { gfns, bytes }] of [trace.base, ...trace.epochs].entries()) {
        gfns.forEach((gfn, i) =>
          replayed.set(bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE), gfn * PAGE_SIZE),
        );
        for (const gfn of trace.base.gfns) {
          const [from, to] = [gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE];
          expect(Buffer.compare(replayed.subarray(from, to), memories[step]!.subarray(from, to))).toBe(0);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('pages that hold what they held did not change', () => {
  const memory = new Uint8Array(4 * PAGE_SIZE).fill(3);
  expect([...changedPages(memory, memory.slice()).gfns]).toEqual([]);
  const next = memory.slice();
  next[2 * PAGE_SIZE + 4095] = 4;
  expect([...changedPages(memory, next).gfns]).toEqual([2]);
});
