import { FitdocError, PAGE_SIZE, totalPages, type RandomPages, type Store } from '@fitdoc/interface';
import { CheckpointSource } from '@fitdoc/engine';
import { MemoryStore } from '@fitdoc/store-memory';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { RandomReader } from '../src/read/random/random-reader.js';
import { openChain } from '../src/read/replay.js';
import { setUp, type Setup } from './support.js';

let setup: Setup | undefined;
afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

/** A chain of a machine that writes as `workload` does, and its memory as the sequential reader gives it. */
async function chainOf(workload: string, checkpoints: number, seed: number, store?: Store) {
  setup = await setUp(`memory=24M&working=8M&workload=${workload}&seed=${seed}`, store);
  const { engine, repository, machine } = setup;
  const protection = await engine.protect(machine, repository);
  for (let i = 0; i < checkpoints; i++) await protection.checkpoint();
  const entry = await repository.resolve('latest');
  const source = await CheckpointSource.open(engine, repository, entry);
  const pages = totalPages(source.info.regions);
  const memory = Buffer.alloc(pages * PAGE_SIZE);
  for await (const { gfn, bytes } of source.pages()) memory.set(bytes, gfn * PAGE_SIZE);
  const { links } = await openChain(repository, entry);
  const reader = (options: object) =>
    new RandomReader([links[0]!, ...links.slice(1)], { pool: engine.pool as never, pages, ...options });
  return { source, pages, memory, links, reader };
}

async function readAt(random: RandomPages, gfn: number, count: number): Promise<Buffer> {
  const found = Buffer.alloc(count * PAGE_SIZE);
  let last = gfn - 1;
  for (const extent of await random.read(gfn, count)) {
    expect(extent.gfn).toBeGreaterThan(last);
    found.set(extent.bytes, (extent.gfn - gfn) * PAGE_SIZE);
    last = extent.gfn + extent.bytes.length / PAGE_SIZE - 1;
  }
  expect(last).toBeLessThan(gfn + count);
  return found;
}

describe('random access', () => {
  it.each(['kv', 'database', 'stencil', 'random', 'idle', 'compiler'])(
    'shows what the sequential reader shows, in any order, many at a time, with much memory or little: %s',
    async (workload) => {
      const { source, pages, memory, reader } = await chainOf(workload, 8, 5);
      const readers = [source.random, reader({ rebuiltBytes: 1, layerBytes: 1 })];
      const run = fc
        .tuple(fc.nat(pages - 1), fc.integer({ min: 0, max: 3000 }))
        .map(([gfn, count]) => ({ gfn, count: Math.min(count, pages - gfn) }));
      await fc.assert(
        fc.asyncProperty(
          fc.array(run, { maxLength: 6 }),
          fc.constantFrom(...readers),
          async (runs, random) => {
            await Promise.all(
              runs.map(async ({ gfn, count }) => {
                const wanted = memory.subarray(gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
                expect((await readAt(random, gfn, count)).equals(wanted)).toBe(true);
              }),
            );
          },
        ),
        { numRuns: 12 },
      );
    },
    60_000,
  );

  it('knows where no page is stored, and what was written last', async () => {
    const { source, memory, pages, links } = await chainOf('kv', 6, 9);
    const { random } = source;
    const inside = new Uint8Array(pages);
    for (const { start, count } of random.stored) inside.fill(1, start, start + count);
    const zero = Buffer.alloc(PAGE_SIZE);
    for (let gfn = 0; gfn < pages; gfn++)
      if (inside[gfn] === 0)
        expect(zero.equals(memory.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE))).toBe(true);
    const newest = await links.at(-1)!.reader.readBatch(0);
    const recent = (await random.recent(1)).flatMap(({ start, count }) =>
      Array.from({ length: count }, (_, index) => start + index),
    );
    expect(recent.slice(0, newest.gfns.length)).toEqual([...newest.gfns]);
  });

  it('decodes each batch once where there is room, and keeps no more than it was told', async () => {
    const store = new MemoryStore();
    const { pages, reader, links } = await chainOf('database', 6, 3, store);
    let reads = 0;
    for (const { reader: each } of links) {
      const read = each.readEncodedBatch.bind(each);
      each.readEncodedBatch = (...args) => (reads++, read(...args));
    }
    const random = reader({});
    for (const gfn of [0, pages >> 1, 17, pages - 1, pages >> 2, 0]) await random.read(gfn, 1);
    for (let gfn = 0; gfn < pages; gfn += 32) await random.read(gfn, Math.min(32, pages - gfn));
    expect(reads).toBe(links.reduce((sum, link) => sum + link.reader.batches.length, 0));
  });

  it('hands over nothing of a damaged batch, names the object, and serves the rest', async () => {
    const { pages, memory, links, reader } = await chainOf('random', 3, 4);
    const [base] = links;
    const { firstGfn, lastGfn } = base!.reader.batches[1]!;
    const read = base!.reader.readEncodedBatch.bind(base!.reader);
    base!.reader.readEncodedBatch = async (number, options) => {
      if (number === 1) throw new FitdocError('FORMAT_DAMAGED', 'Its checksum is another.');
      return read(number, options);
    };
    const random = reader({});
    await expect(random.read(firstGfn, 1)).rejects.toMatchObject({
      code: 'FORMAT_DAMAGED',
      message: expect.stringContaining(base!.entry.key) as string,
    });
    const before = memory.subarray((firstGfn - 8) * PAGE_SIZE, firstGfn * PAGE_SIZE);
    expect((await readAt(random, firstGfn - 8, 8)).equals(before)).toBe(true);
    // Asked again it is looked at again: a store may have been mended.
    base!.reader.readEncodedBatch = read;
    const wanted = memory.subarray(firstGfn * PAGE_SIZE, (lastGfn + 1) * PAGE_SIZE);
    expect((await readAt(random, firstGfn, lastGfn + 1 - firstGfn)).equals(wanted)).toBe(true);
    await expect(random.read(pages, 1)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    await expect(random.read(0, 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });
});
