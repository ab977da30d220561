import { createCodec } from '@fitdoc/codec';
import { applyBatch } from '@fitdoc/diff';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource, openCheckpoint, readSummary, sealBatch, writeCheckpoint } from '../src/index.js';
import { readAll, replay, streamAll } from './support/read.js';
import {
  changes,
  collect,
  devices,
  each,
  header,
  memory,
  sampleBase,
  sampleIncrement,
  write,
} from './support/sample.js';

const base = await sampleBase();
const increment = await sampleIncrement(base);

describe('a checkpoint', () => {
  it('gives back what was written, by random access and as a stream', async () => {
    const contents = await readAll(base.bytes);
    expect(contents.header).toEqual({ ...header(8), formatVersion: 1, pageSize: 4096, wordSize: 8 });
    expect(contents.deviceState).toEqual(devices());
    expect(contents.extensions.map(({ name, mandatory }) => ({ name, mandatory }))).toEqual([
      { name: 'example.disks', mandatory: false },
    ]);
    expect(new TextDecoder().decode(contents.extensions[0]?.bytes)).toBe('vda at generation 7');
    expect(contents.summary).toEqual(base.summary);
    expect(await streamAll(base.bytes)).toEqual(contents);
    expect(await replay([base.bytes])).toEqual(base.image);
  });

  it('is summed up from its tail alone', async () => {
    expect(await readSummary(bytesSource(base.bytes))).toEqual(base.summary);
    expect(base.summary).toMatchObject({
      machineId: 'guest-1',
      machineName: 'Guest 1',
      memoryPages: 8,
      kind: 'base',
      bytes: base.bytes.length,
      pages: 4,
      wordPages: 4,
      wholePages: 0,
      zeroPages: 0,
      batches: 2,
      deviceStateBytes: 203,
      deviceStateDelta: false,
      metrics: { pauseMs: 1.25, placedPages: 8 },
    });
    expect(base.summary.contentHash).toMatch(/^[0-9a-f]{64}$/);
    expect(base.summary.contentHash.slice(0, 32)).toBe(base.summary.id);
  });

  it('forms a chain by the hash of its parent', async () => {
    const { header: child } = await readAll(increment.bytes, devices());
    expect(child.parent).toEqual({ id: base.summary.id, contentHash: base.summary.contentHash });
    expect(increment.summary).toMatchObject({ parentId: base.summary.id, kind: 'increment', zeroPages: 1 });
    expect(await replay([base.bytes, increment.bytes])).toEqual(increment.image);
  });

  it('has an id that depends on every part of it', async () => {
    const one = changes(memory(8), new Uint8Array(8 * 4096));
    const ids = await Promise.all([
      write(header(8), one),
      write(header(8), one),
      write(header(8, 1), one),
      write(header(8), changes(memory(8, 2), new Uint8Array(8 * 4096))),
      write(header(8), [...one, { type: 'metrics', metrics: { pauseMs: 1 } }]),
    ]);
    expect(ids[0]?.summary.id).toBe(ids[1]?.summary.id);
    expect(new Set(ids.map(({ summary }) => summary.id)).size).toBe(4);
  });

  it('says which others it takes the place of', async () => {
    const supersedes = [increment.summary.contentHash, base.summary.contentHash];
    const { bytes, summary } = await write({ ...header(8), supersedes }, []);
    expect(summary.supersedes).toEqual(supersedes);
    expect((await readAll(bytes)).header.supersedes).toEqual(supersedes);
    expect(await readSummary(bytesSource(bytes))).toEqual(summary);
    expect(base.summary).not.toHaveProperty('supersedes');
  });

  it('says whose state it shows, and of what it was made', async () => {
    const state = 'a'.repeat(64);
    const merges = [base.summary.contentHash, increment.summary.contentHash];
    const head = { ...header(8), state, role: 'base' as const, merges };
    const { bytes, summary } = await write(head, [{ type: 'deviceState', state: devices() }]);
    expect(summary).toMatchObject({ state, role: 'base', deviceStateDelta: false });
    expect(summary).not.toHaveProperty('merges');
    expect((await readAll(bytes)).header).toMatchObject({ state, role: 'base', merges });
    expect((await streamAll(bytes)).header).toMatchObject({ state, role: 'base', merges });
    expect(await readSummary(bytesSource(bytes))).toEqual(summary);
    expect(base.summary).not.toHaveProperty('state');
  });

  it('has a device state that stands alone when it was made of others', async () => {
    const parent = { id: base.summary.id, contentHash: base.summary.contentHash };
    const items = [{ type: 'deviceState' as const, state: devices(), previous: devices() }];
    const captured = { ...header(8, 1), kind: 'increment' as const, parent };
    expect((await write(captured, items)).summary.deviceStateDelta).toBe(true);
    const derived = { ...captured, state: 'a'.repeat(64), role: 'merged' as const };
    const { bytes, summary } = await write(derived, items);
    expect(summary.deviceStateDelta).toBe(false);
    expect((await readAll(bytes)).deviceState).toEqual(devices());
  });

  it('may hold nothing at all', async () => {
    const empty = await write(header(1), []);
    const contents = await readAll(empty.bytes);
    expect(contents).toMatchObject({ batches: [], deviceState: [], extensions: [] });
    expect(await streamAll(empty.bytes)).toEqual(contents);
  });

  it('takes seals that a worker computed, and refuses those of other bytes', async () => {
    const items = changes(memory(8), new Uint8Array(8 * 4096));
    const sealed = items.map((item) =>
      item.type === 'batch' ? { ...item, seal: sealBatch(item.encoded.bytes) } : item,
    );
    expect((await write(header(8), sealed)).bytes).toEqual((await write(header(8), items)).bytes);
    const wrong = sealed.map((item) =>
      item.type === 'batch' ? { ...item, seal: sealBatch(memory(1)) } : item,
    );
    await expect(write(header(8), wrong)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  it('keeps batches of any size, and those of every compressor, as they are', async () => {
    for (const compressor of ['none', 'lz4', 'zstd']) {
      const codec = await createCodec({ compressor });
      const next = new Uint8Array(512 * 4096).map((_, at) => (at * at) >>> 7);
      const image = new Uint8Array(next.length);
      const items = changes(next, image, 0, codec);
      const output = writeCheckpoint(header(512), each(items));
      const reader = await openCheckpoint(bytesSource(await collect(output.stream)));
      applyBatch(await reader.readBatch(0), image.fill(0));
      expect(Buffer.compare(image, next)).toBe(0);
      expect(reader.summary.batches).toBe(1);
    }
  });

  it('reads the same from a stream however that is cut', async () => {
    const whole = await readAll(increment.bytes, devices());
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5000 }), async (size) => {
        expect(await streamAll(increment.bytes, devices(), size)).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });
});
