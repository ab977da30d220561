import { PAGE_SIZE } from '@fitdoc/interface';
import { describe, expect, it } from 'vitest';
import {
  bytesSource,
  openCheckpoint,
  readCheckpointStream,
  readSummary,
  storeSource,
  type ContentItem,
  type RangedSource,
} from '../src/index.js';
import { failure, inChunks, readAll, streamAll } from './support/read.js';
import { changes, header, memory, plainCodec, sampleBase, write } from './support/sample.js';

const base = await sampleBase();

function counted(bytes: Uint8Array): RangedSource & { reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    size: bytes.length,
    reads,
    read: async (offset, length) => {
      reads.push([offset, length]);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** A checkpoint of one page in each of `count` batches: every fourth page. */
async function many(count: number) {
  const items: ContentItem[] = [];
  for (let at = 0; at < count; at += 1)
    items.push(...changes(memory(1, at), new Uint8Array(PAGE_SIZE), at * 4));
  return write(header(count * 4), items);
}

describe('ranged reads', () => {
  it('are one for a summary, and one for all of a small checkpoint', async () => {
    const small = counted(base.bytes);
    await readSummary(small);
    expect(small.reads).toEqual([[0, base.bytes.length]]);
    small.reads.length = 0;
    await openCheckpoint(small);
    expect(small.reads).toHaveLength(1);
    const large = counted((await many(2000)).bytes);
    await readSummary(large);
    expect(large.reads).toEqual([[large.size - 16_384, 16_384]]);
  });

  it('are three to open a large checkpoint, and one a batch', async () => {
    const source = counted((await many(2000)).bytes);
    const reader = await openCheckpoint(source, { codec: plainCodec });
    expect(source.reads).toHaveLength(3);
    source.reads.length = 0;
    const number = reader.find(4 * 777);
    expect(number).toBe(777);
    expect((await reader.readBatch(777)).gfns).toEqual(Uint32Array.of(4 * 777));
    expect(source.reads).toHaveLength(1);
    source.reads.length = 0;
    await openCheckpoint(source, { tailBytes: 1 << 20 });
    expect(source.reads).toHaveLength(1);
  });

  it('are two for a summary with large metrics', async () => {
    const metrics = { notes: 'n'.repeat(10_000) };
    const { bytes, summary } = await write(header(8), [{ type: 'metrics', metrics }]);
    const source = counted(bytes);
    expect(await readSummary(source, { tailBytes: 4096 })).toEqual(summary);
    expect(source.reads).toHaveLength(2);
  });
});

describe('the reader', () => {
  it('finds the batch of a page', async () => {
    const reader = await openCheckpoint(bytesSource((await many(100)).bytes));
    for (let gfn = -1; gfn < 402; gfn += 1) {
      const expected = gfn >= 0 && gfn < 400 && gfn % 4 === 0 ? gfn / 4 : undefined;
      expect(reader.find(gfn)).toBe(expected);
    }
  });

  it('serves concurrent reads', async () => {
    const { bytes } = await many(300);
    const slow: RangedSource = {
      size: bytes.length,
      read: async (offset, length) => {
        await new Promise((resolve) => setTimeout(resolve, (offset * 7) % 5));
        return bytes.slice(offset, offset + length);
      },
    };
    const reader = await openCheckpoint(slow, { codec: plainCodec });
    const batches = await Promise.all(reader.batches.map((_, number) => reader.readBatch(number)));
    expect(batches.map(({ gfns }) => gfns[0])).toEqual(reader.batches.map(({ firstGfn }) => firstGfn));
  });

  it('refuses a batch that is not there', async () => {
    const reader = await openCheckpoint(bytesSource(base.bytes));
    for (const number of [-1, 0.5, 2]) {
      expect(await failure(() => reader.readEncodedBatch(number))).toBe('ARGUMENT_INVALID');
    }
  });

  it('passes on what its source rejects with, and stops when it is cancelled', async () => {
    const broken = new Error('connection reset');
    const source: RangedSource = { size: 9999, read: () => Promise.reject(broken) };
    await expect(openCheckpoint(source)).rejects.toBe(broken);
    await expect(readSummary(source)).rejects.toBe(broken);
    const signal = AbortSignal.abort();
    expect(await failure(() => openCheckpoint(bytesSource(base.bytes), { signal }))).toBe('ABORTED');
    const reader = await openCheckpoint(bytesSource(base.bytes));
    expect(await failure(() => reader.readBatch(0, { signal }))).toBe('ABORTED');
    expect(await failure(() => reader.verify({ data: true, signal }))).toBe('ABORTED');
  });

  it('takes a source that gives too little for truncated', async () => {
    const source: RangedSource = {
      size: base.bytes.length,
      read: async (offset, length) => base.bytes.subarray(offset, offset + length - 1),
    };
    expect(await failure(() => openCheckpoint(source))).toBe('FORMAT_TRUNCATED');
  });

  it('reads through a store', async () => {
    const store = {
      get: async (_key: string, range?: { offset: number; length: number }) =>
        base.bytes.slice(range?.offset ?? 0, (range?.offset ?? 0) + (range?.length ?? base.bytes.length)),
    };
    const contents = await readAll(storeSource(store, 'a/b', base.bytes.length));
    expect(contents.summary).toEqual(base.summary);
  });

  it('refuses an extension that it must know and does not', async () => {
    const items: ContentItem[] = [{ type: 'extension', name: 'disks/v2', bytes: memory(1), mandatory: true }];
    const { bytes } = await write(header(8), items);
    expect(await failure(() => readAll(bytes))).toBe('FORMAT_UNSUPPORTED');
    expect(await failure(() => streamAll(bytes))).toBe('FORMAT_UNSUPPORTED');
    const contents = await readAll(bytes, undefined, { extensions: ['disks/v2'] });
    expect(contents.extensions).toMatchObject([{ name: 'disks/v2', mandatory: true }]);
    const stream = readCheckpointStream(inChunks(bytes, 100), { extensions: ['disks/v2'] });
    const types: string[] = [];
    for await (const item of stream) types.push(item.type);
    expect(types).toEqual(['header', 'extension', 'end']);
  });

  it('lets a stream go when its reader stops', async () => {
    let closed = false;
    async function* chunks() {
      try {
        yield* inChunks(base.bytes, 64);
      } finally {
        closed = true;
      }
    }
    for await (const item of readCheckpointStream(chunks())) if (item.type === 'header') break;
    expect(closed).toBe(true);
  });
});
