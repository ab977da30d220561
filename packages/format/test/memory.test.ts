import { mkdtemp, open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  openCheckpoint,
  readCheckpointStream,
  readSummary,
  writeCheckpoint,
  type ContentItem,
  type RangedSource,
} from '../src/index.js';
import { header } from './support/sample.js';

// 64 GiB of guest memory in full batches, each encoded to 16 KiB: all of the guest's pages, a 256th of its bytes.
const PAGES = 16 * 2 ** 20;
const BATCH_PAGES = 1024;
const ENCODED = 16 << 10;
const BUDGET = 96 << 20;

const directory = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-format-'));
const file = path.join(directory, 'checkpoint');
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The most memory that JavaScript held above where it began, looked at whenever `look` is called. */
function meter() {
  const now = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const begin = now();
  let most = 0;
  return { look: () => (most = Math.max(most, now() - begin)), most: () => most };
}

async function* content(): AsyncGenerator<ContentItem> {
  for (let first = 0; first < PAGES; first += BATCH_PAGES) {
    const bytes = new Uint8Array(ENCODED).fill(first & 255);
    new DataView(bytes.buffer).setUint32(0, first, true);
    const gfns = Uint32Array.from({ length: BATCH_PAGES }, (_, at) => first + at);
    const counts = { pages: BATCH_PAGES, rawBytes: BATCH_PAGES * 4096, changedWords: 0, zeroPages: 0 };
    yield { type: 'batch', encoded: { bytes, ...counts, wholePages: BATCH_PAGES }, gfns };
  }
}

async function* fileChunks(): AsyncGenerator<Uint8Array> {
  const handle = await open(file);
  try {
    for (;;) {
      const { bytesRead, buffer } = await handle.read({ buffer: new Uint8Array(1 << 16) });
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

beforeAll(async () => {
  const memory = meter();
  const handle = await open(file, 'w');
  const { stream, summary } = writeCheckpoint(header(PAGES), content());
  let chunks = 0;
  for await (const chunk of stream) {
    await handle.writev([chunk]);
    if ((chunks += 1) % 64 === 0) memory.look();
  }
  await handle.close();
  expect(await summary).toMatchObject({ batches: 16_384, pages: PAGES, rawBytes: 64 * 2 ** 30 });
  expect(memory.most()).toBeLessThan(BUDGET);
}, 300_000);

it('a 64 GiB guest is read as a stream in constant memory', async () => {
  const memory = meter();
  let batches = 0;
  for await (const item of readCheckpointStream(fileChunks())) {
    if (item.type !== 'batch') continue;
    expect(new DataView(item.encoded.buffer, item.encoded.byteOffset).getUint32(0, true)).toBe(
      batches * BATCH_PAGES,
    );
    if ((batches += 1) % 64 === 0) memory.look();
  }
  expect(batches).toBe(16_384);
  expect(memory.most()).toBeLessThan(BUDGET);
});

it('a page of a 64 GiB guest is found by three ranged reads and one for its batch', async () => {
  const memory = meter();
  const handle = await open(file);
  let reads = 0;
  const source: RangedSource = {
    size: (await handle.stat()).size,
    read: async (offset, length) => {
      reads += 1;
      return (await handle.read({ buffer: new Uint8Array(length), position: offset })).buffer;
    },
  };
  try {
    expect((await readSummary(source)).memoryPages).toBe(PAGES);
    expect(reads).toBe(1);
    reads = 0;
    const reader = await openCheckpoint(source, { integrity: 'hash' });
    expect(reads).toBe(3);
    for (let gfn = 12_345; gfn < PAGES; gfn += 1_234_567) {
      const bytes = await reader.readEncodedBatch(reader.find(gfn) ?? -1);
      expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)).toBe(gfn - (gfn % BATCH_PAGES));
      memory.look();
    }
    expect(memory.most()).toBeLessThan(BUDGET);
  } finally {
    await handle.close();
  }
});
