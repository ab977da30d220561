import { createCodec } from '@fitdoc/codec';
import { applyBatch, diffPages, MemoryImage } from '@fitdoc/diff';
import { PAGE_SIZE } from '@fitdoc/interface';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  bytesSource,
  openCheckpoint,
  readCheckpointStream,
  type BatchCodec,
  type ContentItem,
} from '../src/index.js';
import { inChunks } from './support/read.js';
import { devices, header, write, type Written } from './support/sample.js';

const codecs = await Promise.all(
  ['none', 'lz4', 'zstd'].map((compressor) => createCodec({ compressor, level: 1 })),
);

/** Marsaglia's xorshift32: a history must be the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Changes one page as guests do: a word, a run, all of it, to zero, to another page's content, or not at all. */
function touch(guest: Uint8Array, page: number, next: (below: number) => number): void {
  const bytes = guest.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
  const kind = next(16);
  if (kind === 0) bytes.fill(0);
  else if (kind === 1) bytes.fill(next(256));
  else if (kind === 2) bytes.set(guest.subarray(0, PAGE_SIZE));
  else if (kind === 3) for (let at = 0; at < PAGE_SIZE; at += 1) bytes[at] = next(256);
  else if (kind < 8) bytes.fill(next(256), next(4096), next(4096));
  else for (let writes = next(6); writes > 0; writes -= 1) bytes[next(PAGE_SIZE)] = next(256);
}

interface History {
  readonly seed: number;
  readonly pages: number;
  readonly epochs: number;
  /** Of 100 pages, those touched in an epoch. */
  readonly dirty: number;
  readonly batchPages: number;
  readonly codec: number;
}

const history: fc.Arbitrary<History> = fc.record({
  seed: fc.integer({ min: 1 }),
  pages: fc.integer({ min: 1, max: 700 }),
  epochs: fc.integer({ min: 1, max: 12 }),
  dirty: fc.integer({ min: 1, max: 100 }),
  batchPages: fc.constantFrom(1, 7, 64, 1024),
  codec: fc.integer({ min: 0, max: 2 }),
});

function* items(image: MemoryImage, { batchPages }: History, codec: BatchCodec): Generator<ContentItem> {
  const pending = image.pending();
  for (let at = 0; at < pending.length; at += batchPages) {
    const gfns = pending.slice(at, at + batchPages);
    yield { type: 'batch', encoded: codec.encode(image.gather(gfns)) as never, gfns };
  }
}

/** Runs a guest, and checkpoints it after each epoch; gives the chain, the guest and how often a page was written. */
async function run(plan: History) {
  const codec = codecs[plan.codec] as BatchCodec;
  const next = generator(plan.seed);
  const guest = new Uint8Array(plan.pages * PAGE_SIZE);
  const image = MemoryImage.create({ pages: plan.pages, stagingPages: 64, shardPages: 300 });
  const chain: Written[] = [];
  let versions = 0;
  for (let epoch = 0; epoch < plan.epochs; epoch += 1) {
    image.beginCapture();
    for (let page = 0; page < plan.pages; page += 1) {
      if (next(100) >= plan.dirty) continue;
      touch(guest, page, next);
      image.place(page, 1).set(guest.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE));
      versions += 1;
    }
    await image.settle();
    const device: ContentItem = {
      type: 'deviceState',
      state: devices(epoch),
      ...(epoch > 0 && { previous: devices(epoch - 1) }),
    };
    const head = header(plan.pages, epoch, chain.at(-1)?.summary);
    chain.push(await write(head, [...items(image, plan, codec), device], codec));
    image.clearPending();
  }
  return { chain, guest, versions };
}

async function replayRandomly(chain: readonly Written[], guest: Uint8Array): Promise<Uint8Array> {
  const replayed = new Uint8Array(guest.length);
  for (const { bytes } of chain) {
    const reader = await openCheckpoint(bytesSource(bytes));
    for (const number of reader.batches.keys()) applyBatch(await reader.readBatch(number), replayed);
  }
  return replayed;
}

async function replayStreams(chain: readonly Written[], guest: Uint8Array): Promise<Uint8Array> {
  const replayed = new Uint8Array(guest.length);
  for (const { bytes } of chain) {
    for await (const item of readCheckpointStream(inChunks(bytes, 9973))) {
      if (item.type === 'batch') applyBatch(codecs[0]!.decode(item.encoded), replayed);
    }
  }
  return replayed;
}

it(
  'a replayed chain equals the last full image, over 100,000 page versions',
  { timeout: 120_000 },
  async () => {
    let versions = 0;
    const check = fc.asyncProperty(history, async (plan) => {
      const { chain, guest, versions: more } = await run(plan);
      versions += more;
      expect(Buffer.compare(await replayRandomly(chain, guest), guest)).toBe(0);
      if (plan.seed % 3 === 0) expect(Buffer.compare(await replayStreams(chain, guest), guest)).toBe(0);
    });
    let seed = Number(process.env['FC_SEED'] ?? Date.now() % 1_000_000_007);
    while (versions < 100_000) await fc.assert(check, { numRuns: 20, seed: (seed += 1) });
    expect(versions).toBeGreaterThanOrEqual(100_000);
  },
);

it('a base is an increment over zeros', async () => {
  const { chain, guest } = await run({ seed: 5, pages: 64, epochs: 6, dirty: 60, batchPages: 64, codec: 2 });
  const batch = diffPages(guest, new Uint8Array(guest.length));
  const item: ContentItem = { type: 'batch', encoded: codecs[2]!.encode(batch), gfns: batch.gfns };
  const { bytes } = await write(header(64), [item]);
  const replayed = await replayRandomly([{ ...chain[0]!, bytes }], guest);
  expect(Buffer.compare(replayed, guest)).toBe(0);
});
