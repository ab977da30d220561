import { deepStrictEqual } from 'node:assert/strict';
import { createCodec } from '@fitdoc/codec';
import type { DeviceState } from '@fitdoc/interface';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesSource, openCheckpoint } from '../src/index.js';
import { failure, readAll, streamAll } from './support/read.js';
import { devices, header, plainCodec, sampleBase, write } from './support/sample.js';

const base = await sampleBase();
const random = (length: number, seed: number) =>
  new Uint8Array(length).map((_, at) => Math.imul(at + seed, 2_654_435_761) >>> 13);

const state: fc.Arbitrary<DeviceState[]> = fc.uniqueArray(
  fc.record(
    {
      name: fc.constantFrom('cpu/0', 'cpu/1', 'vga', 'nic', 'ü', 'x'.repeat(40)),
      bytes: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.nat()).map(([length, seed]) => random(length, seed)),
      ),
    },
    { noNullPrototype: true },
  ),
  { selector: ({ name }) => name, maxLength: 5 },
);

it('device states come back, with and without a previous one', async () => {
  await fc.assert(
    fc.asyncProperty(state, state, async (previous, next) => {
      const item = { type: 'deviceState', state: next, previous } as const;
      const { bytes, summary } = await write(header(8, 1, base.summary), [item]);
      expect(summary.deviceStateBytes).toBe(next.reduce((sum, part) => sum + part.bytes.length, 0));
      deepStrictEqual((await readAll(bytes, previous)).deviceState, next);
      deepStrictEqual((await streamAll(bytes, previous)).deviceState, next);
    }),
    { numRuns: 150 },
  );
});

it('a small change to a large state is stored as one', async () => {
  const before = [{ name: 'vga', bytes: random(9_000_000, 3) }];
  const after = [{ name: 'vga', bytes: before[0]?.bytes.slice() ?? new Uint8Array(0) }];
  after[0]?.bytes.set([1, 2, 3], 5_000_000);
  const alone = await write(header(8, 1, base.summary), [{ type: 'deviceState', state: after }]);
  const item = { type: 'deviceState', state: after, previous: before } as const;
  const delta = await write(header(8, 1, base.summary), [item], await createCodec());
  expect(alone.summary).toMatchObject({ deviceStateDelta: false, deviceStateBytes: 9_000_000 });
  expect(delta.summary).toMatchObject({ deviceStateDelta: true, deviceStateBytes: 9_000_000 });
  expect(delta.bytes.length).toBeLessThan(4000);
  const reader = await openCheckpoint(bytesSource(delta.bytes));
  const [read] = await reader.readDeviceState(async () => before);
  expect(Buffer.compare(read?.bytes ?? new Uint8Array(0), after[0]?.bytes ?? new Uint8Array(0))).toBe(0);
});

it('a state that has nothing in common with the previous one is stored alone', async () => {
  const item = {
    type: 'deviceState',
    state: [{ name: 'a', bytes: random(50_000, 1) }],
    previous: [{ name: 'a', bytes: random(50_000, 9) }],
  } as const;
  const { summary } = await write(header(8, 1, base.summary), [item]);
  expect(summary.deviceStateDelta).toBe(false);
});

it('a change cannot be read without the state that it is a change to', async () => {
  const previous = [{ name: 'cpu', bytes: random(8000, 1) }];
  const next = [{ name: 'cpu', bytes: random(8000, 1).fill(0, 0, 8) }];
  const item = { type: 'deviceState', state: next, previous } as const;
  const { bytes } = await write(header(8, 1, base.summary), [item]);
  const reader = await openCheckpoint(bytesSource(bytes), { codec: plainCodec });
  expect(reader.summary.deviceStateDelta).toBe(true);
  expect(await failure(() => reader.readDeviceState())).toBe('ARGUMENT_INVALID');
  expect(await failure(() => reader.readDeviceState(async () => devices()))).toBe('FORMAT_DAMAGED');
  expect(await reader.readDeviceState(async () => previous)).toEqual(next);
  const gone = new Error('the parent is gone');
  await expect(reader.readDeviceState(() => Promise.reject(gone))).rejects.toBe(gone);
});
