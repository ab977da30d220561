import { KIND_WHOLE, KIND_WORDS, KIND_ZERO } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyBatch, diffPages, MemoryImage, runDiffTask, runGatherTask } from '../src/index.js';
import { History, stepsOf } from './history.js';
import { equalBytes, PAGE, randomBytes } from './pages.js';

const invalidArgument: unknown = expect.objectContaining({ code: 'ARGUMENT_INVALID' });

/** Places consecutive pages, whatever pieces the image lends. */
function place(image: MemoryImage, gfn: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    const view = image.place(gfn + at / PAGE, (bytes.length - at) / PAGE);
    view.set(bytes.subarray(at, at + view.length));
    at += view.length;
  }
}

describe('MemoryImage over random histories', () => {
  const PAGES = 75;
  const shapes = fc.record({
    shardPages: fc.integer({ min: 1, max: 80 }),
    stagingPages: fc.integer({ min: 1, max: 90 }),
  });

  it('holds what was placed last, and its batches rebuild it', async () => {
    const property = fc.asyncProperty(shapes, stepsOf(PAGES), async (shape, steps) => {
      const history = new History(MemoryImage.create({ pages: PAGES, ...shape }));
      for (const step of steps) await history.play(step);
      await history.play({ type: 'checkpoint' });
      expect(equalBytes(history.imageBytes(), history.guest)).toBe(true);
      expect(equalBytes(history.replica, history.guest)).toBe(true);
      expect(history.image.pending()).toHaveLength(0);
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it('does with WebAssembly exactly what the TypeScript twin does', async () => {
    const property = fc.asyncProperty(shapes, stepsOf(PAGES), async (shape, steps) => {
      const fast = new History(MemoryImage.create({ pages: PAGES, ...shape }));
      const plain = new History(MemoryImage.create({ pages: PAGES, ...shape, kernel: 'typescript' }));
      for (const step of [...steps, { type: 'settle' } as const, { type: 'checkpoint' } as const]) {
        await fast.play(step);
        await plain.play(step);
      }
      expect(fast.log).toEqual(plain.log);
      expect(equalBytes(fast.imageBytes(), plain.imageBytes())).toBe(true);
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

describe('MemoryImage', () => {
  it('gathers what diffPages finds', async () => {
    const image = MemoryImage.create({ pages: 8, shardPages: 3 });
    image.beginCapture();
    const base = randomBytes(8 * PAGE, 1);
    place(image, 0, base);
    await image.settle();
    image.clearPending();
    const next = base.slice();
    for (const byte of [5, PAGE + 4095, 6 * PAGE + 100]) next[byte]! ^= 1;
    image.beginCapture();
    place(image, 0, next);
    await image.settle();
    expect(image.gather(image.pending())).toEqual(diffPages(next, base));
    expect(image.captureStats()).toEqual({
      placedPages: 8,
      unchangedPages: 5,
      zeroPages: 0,
      changedPages: 3,
      changedWords: 3,
    });
  });

  it.each([false, true])(
    'gathers in a task what a later gather would find (out of order: %s)',
    async (shuffled) => {
      const pages = 700;
      const image = MemoryImage.create({ pages, shardPages: 400, stagingPages: 3000 });
      const order = Array.from({ length: pages }, (_, i) => (shuffled ? (i * 373) % pages : i));
      const guest = randomBytes(pages * PAGE, 3);
      for (let round = 0; round < 2; round++) {
        image.beginCapture();
        for (let i = 0; i < guest.length; i += 1000) guest[i]! ^= 1;
        guest.fill(0, 8 * PAGE, 9 * PAGE);
        for (const gfn of order) image.place(gfn, 1).set(guest.subarray(gfn * PAGE, (gfn + 1) * PAGE));
        const into = new Uint8Array(1024 * PAGE);
        const seen: number[] = [];
        const run = async (task: Parameters<typeof runGatherTask>[0]) => {
          const result = runGatherTask(task, { into, wholeAbove: 100, forceWhole: (gfn) => gfn % 5 === 0 });
          const forceWhole = result.gfns.map((gfn) => (gfn % 5 === 0 ? 1 : 0));
          const later = image.gather(result.gfns, {
            wholeAbove: 100,
            forceWhole: Uint8Array.from(forceWhole),
          });
          for (const key of ['kinds', 'masks', 'words', 'pages'] as const) {
            expect(equalBytes(result.batch[key], later[key])).toBe(true);
          }
          expect(result.batch.gfns).toEqual(later.gfns);
          seen.push(...result.gfns);
          return result;
        };
        await image.settle({ run, concurrency: 1 });
        expect([...new Set(seen)].sort((a, b) => a - b)).toEqual([...image.pending()]);
        const replica = new Uint8Array(guest.length);
        if (round === 0) {
          applyBatch(image.gather(image.pending()), replica);
          expect(equalBytes(replica, guest)).toBe(true);
        }
        image.clearPending();
      }
    },
  );

  it('takes loans that were not given back when the capture ends, and refuses what does not fit them', () => {
    const image = MemoryImage.create({ pages: 40, shardPages: 25, stagingPages: 8 });
    for (let round = 0; round < 20; round++) {
      image.beginCapture();
      const [first, second] = image.lend(2);
      expect([first!.gfnCount, second!.firstGfn, second!.gfnCount]).toEqual([25, 25, 15]);
      for (const wrong of [[25], [0, 1, 2]])
        expect(() => image.landed(first!, Uint32Array.from(wrong))).toThrow(invalidArgument);
      image.landed(second!, Uint32Array.of(39));
      expect(() => image.landed(second!, Uint32Array.of(39))).toThrow(invalidArgument);
    }
    expect(() => {
      for (let loan = 0; loan < 12; loan++) image.lend(2);
    }).toThrow(expect.objectContaining({ code: 'MEMORY_BUDGET' }) as Error);
  });

  it('rather lends less than it compares, so that what was reserved can be lent without', async () => {
    const image = MemoryImage.create({ pages: 400, stagingPages: 200 });
    image.beginCapture();
    expect(image.reserve(190)).toBe(true);
    let landed = 0;
    while (landed < 190) {
      const [area] = image.lend(50);
      const count = Math.min(190 - landed, area!.bytes.length / PAGE);
      area!.bytes.fill(1, 0, count * PAGE);
      image.landed(
        area!,
        Uint32Array.from({ length: count }, (_, index) => landed + index),
      );
      landed += count;
    }
    expect(image.captureStats()).toMatchObject({ placedPages: 190, changedPages: 0 });
    await image.settle();
    expect(image.captureStats().changedPages).toBe(190);
  });

  it('keeps changes pending over captures, until they are cleared', async () => {
    const image = MemoryImage.create({ pages: 4 });
    for (const byte of [0, 8, 16]) {
      image.beginCapture();
      const page = image.read(1, 1).slice();
      page[byte] = 1;
      image.place(1, 1).set(page);
      await image.settle();
    }
    const batch = image.gather(image.pending());
    expect([...batch.kinds]).toEqual([KIND_WORDS]);
    expect(batch.masks[0]).toBe(7);
    image.clearPending();
    expect(image.pending()).toHaveLength(0);
    expect(image.gather(Uint32Array.of(1)).gfns).toHaveLength(0);
  });

  it('stores pages whole when asked to, zero pages never', async () => {
    const image = MemoryImage.create({ pages: 4 });
    place(image, 0, randomBytes(PAGE, 1));
    await image.settle();
    image.clearPending();
    const batch = image.gather(Uint32Array.of(0, 1, 2), { forceWhole: Uint8Array.of(1, 1, 0) });
    expect([...batch.gfns]).toEqual([0, 1]);
    expect([...batch.kinds]).toEqual([KIND_WHOLE, KIND_ZERO]);
    expect(batch.pages).toEqual(randomBytes(PAGE, 1));
    expect([...image.occupied()]).toEqual([0]);
  });

  it('loads a checkpoint without making it pending', async () => {
    const source = randomBytes(6 * PAGE, 9);
    source.fill(0, PAGE, 2 * PAGE);
    const image = MemoryImage.create({ pages: 6, shardPages: 4 });
    image.apply(diffPages(source, new Uint8Array(source.length)));
    expect(equalBytes(image.read(2, 2), source.subarray(2 * PAGE, 4 * PAGE))).toBe(true);
    expect(image.pending()).toHaveLength(0);
    image.beginCapture();
    place(image, 0, source);
    await image.settle();
    expect(image.captureStats().unchangedPages).toBe(6);
    image.apply({
      ...diffPages(new Uint8Array(6 * PAGE), source.slice()),
      gfns: Uint32Array.of(0, 2, 3, 4, 5),
    });
    expect(image.occupied()).toHaveLength(0);
  });

  it('keeps every loan of a reservation valid until the capture ends', async () => {
    const image = MemoryImage.create({ pages: 64, shardPages: 10, stagingPages: 16 });
    image.beginCapture();
    expect(image.reserve(17)).toBe(false);
    expect(image.reserve(16)).toBe(true);
    const loans = Array.from({ length: 16 }, (_, i) => image.place(i * 4, 1));
    for (let i = 0; i < 16; i++) place(image, i * 4 + 1, randomBytes(PAGE, 100 + i));
    image.zero(2, 1);
    expect(image.reserve(1)).toBe(false);
    loans.forEach((loan, i) => loan.set(randomBytes(PAGE, i)));
    await image.settle();
    for (let i = 0; i < 16; i++) {
      expect(equalBytes(image.read(i * 4, 1), randomBytes(PAGE, i))).toBe(true);
      expect(equalBytes(image.read(i * 4 + 1, 1), randomBytes(PAGE, 100 + i))).toBe(true);
    }
    expect(image.reserve(16)).toBe(true);
  });

  it('lends a page again where it was lent before', () => {
    const image = MemoryImage.create({ pages: 8 });
    image.beginCapture();
    const first = image.place(3, 1);
    expect(image.place(3, 1).byteOffset).toBe(first.byteOffset);
    expect(image.captureStats().placedPages).toBe(1);
  });

  it('ends a settle that is aborted, forgetting nothing', async () => {
    const image = MemoryImage.create({ pages: 4096, stagingPages: 4096 });
    const bytes = randomBytes(4096 * PAGE, 7);
    image.beginCapture();
    place(image, 0, bytes);
    const control = new AbortController();
    let tasks = 0;
    const run = async (task: Parameters<typeof runDiffTask>[0]) => {
      if (++tasks === 3) control.abort();
      return runDiffTask(task);
    };
    const aborted = image.settle({ run, signal: control.signal, concurrency: 1 });
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' });
    expect(tasks).toBe(3);
    await expect(image.settle({ signal: control.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    await image.settle();
    expect(equalBytes(image.read(0, 4096), bytes)).toBe(true);
    expect(image.pending()).toHaveLength(4096);
    expect(image.captureStats().changedPages).toBe(4096);
  });

  it('says WORKER_DIED when a task fails, and compares its pages the next time', async () => {
    const image = MemoryImage.create({ pages: 2048, stagingPages: 2048 });
    const bytes = randomBytes(2048 * PAGE, 7);
    image.beginCapture();
    place(image, 0, bytes);
    const failing = image.settle({ run: () => Promise.reject(new Error('gone')) });
    await expect(failing).rejects.toMatchObject({ code: 'WORKER_DIED', retryable: true });
    image.beginCapture();
    await image.settle();
    expect(equalBytes(image.read(0, 2048), bytes)).toBe(true);
    expect(image.pending()).toHaveLength(2048);
  });

  it('lets nobody place while it settles', async () => {
    const image = MemoryImage.create({ pages: 4 });
    place(image, 0, randomBytes(PAGE, 1));
    const settled = image.settle();
    expect(() => image.place(1, 1)).toThrowError(invalidArgument);
    expect(() => image.clearPending()).toThrowError(invalidArgument);
    await settled;
    expect(image.place(1, 1)).toHaveLength(PAGE);
  });

  it('refuses what lies outside, is out of order or does not fit', () => {
    const image = MemoryImage.create({ pages: 4 });
    const calls: (() => unknown)[] = [
      () => image.place(4, 1),
      () => image.place(3, 2),
      () => image.place(-1, 1),
      () => image.place(0, 0),
      () => image.place(0.5, 1),
      () => image.zero(4, 1),
      () => image.read(9, 1),
      () => image.reserve(-1),
      () => image.gather(Uint32Array.of(2, 1)),
      () => image.gather(Uint32Array.of(1, 1)),
      () => image.gather(Uint32Array.of(4)),
      () => image.gather(Uint32Array.of(1), { forceWhole: new Uint8Array(2) }),
      () => image.gather(Uint32Array.of(1), { wholeAbove: -1 }),
      () => image.gather(new Uint32Array(1025)),
      () => MemoryImage.create({ pages: 0 }),
      () => MemoryImage.create({ pages: 1.5 }),
      () => MemoryImage.create({ pages: 4, shardPages: 0 }),
      () => MemoryImage.create({ pages: 2 ** 21, shardPages: 2 ** 20 }),
      () => MemoryImage.attach({ ...image.handle(), shards: [foreignShard()] }).read(0, 1),
    ];
    for (const call of calls) expect(call).toThrowError(invalidArgument);
  });
});

function foreignShard() {
  const { shards } = MemoryImage.create({ pages: 1 }).handle();
  const [shard] = shards;
  new Uint8Array(shard!.memory.buffer).fill(0, 1024, 2048);
  return { ...shard!, id: 'foreign' };
}
