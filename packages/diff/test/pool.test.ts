import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { DiffPool, MemoryImage, runDiffTask, type DiffTask, type PagePair } from '@fitdoc/diff';
import { afterEach, describe, expect, it } from 'vitest';
import { diffPagesPlainly } from '../src/twin-pages.js';
import { equalBytes, PAGE, randomBytes } from './pages.js';

const PAGES = 8192;
const open: DiffPool[] = [];

afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close();
});

/** A pool, and the threads that it starts from then on. */
async function poolOf(workers: number): Promise<{ pool: DiffPool; threads: Worker[] }> {
  const threads: Worker[] = [];
  const seen = (thread: Worker): void => void threads.push(thread);
  process.on('worker', seen);
  const pool = DiffPool.create({ workers });
  open.push(pool);
  await delay(0);
  process.off('worker', seen);
  return { pool, threads };
}

function stagedImage(shardPages: number, bytes: Uint8Array): MemoryImage {
  const image = MemoryImage.create({ pages: PAGES, shardPages, stagingPages: PAGES });
  image.beginCapture();
  for (let at = 0; at < bytes.length;) {
    const view = image.place(at / PAGE, (bytes.length - at) / PAGE);
    view.set(bytes.subarray(at, at + view.length));
    at += view.length;
  }
  return image;
}

function imageBytes(image: MemoryImage): Uint8Array {
  const bytes = new Uint8Array(PAGES * PAGE);
  for (let gfn = 0; gfn < PAGES;) {
    const view = image.read(gfn, PAGES - gfn);
    bytes.set(view, gfn * PAGE);
    gfn += view.length / PAGE;
  }
  return bytes;
}

describe('DiffPool with a MemoryImage', () => {
  it('settles over all shards', async () => {
    const { pool } = await poolOf(2);
    const bytes = randomBytes(PAGES * PAGE, 1);
    const image = stagedImage(1000, bytes);
    await image.settle({ run: (task) => pool.run(task) });
    expect(equalBytes(imageBytes(image), bytes)).toBe(true);
    expect(image.captureStats()).toMatchObject({ changedPages: PAGES, changedWords: PAGES * 512 });
  });

  it('reports a killed worker, does not hang, and loses no change', async () => {
    const { pool, threads } = await poolOf(2);
    const bytes = randomBytes(PAGES * PAGE, 2);
    const image = stagedImage(PAGES, bytes);
    await pool.run({ shard: image.handle().shards[0]!, slots: [0, 1] });
    let handed = 0;
    const run = (task: DiffTask) => {
      const result = pool.run(task);
      if (++handed === 2) for (const thread of threads) void thread.terminate();
      return result;
    };
    await expect(image.settle({ run })).rejects.toMatchObject({ code: 'WORKER_DIED' });
    await image.settle({ run: (task) => pool.run(task) });
    expect(equalBytes(imageBytes(image), bytes)).toBe(true);
    expect(image.pending()).toHaveLength(PAGES);
  });

  it('loses no change wherever in its work a worker is killed', async () => {
    const bytes = randomBytes(PAGES * PAGE, 3);
    for (let round = 0; round < 5; round++) {
      const { pool, threads } = await poolOf(1);
      const image = stagedImage(PAGES, bytes);
      const [shard] = image.handle().shards;
      await pool.run({ shard: shard!, slots: [0, 1] });
      const task = pool.run({ shard: shard!, slots: [0, PAGES] });
      await delay(round * 3);
      await Promise.all([threads[0]!.terminate(), task.catch(() => undefined)]);
      await image.settle({ run: (part) => Promise.resolve(runDiffTask(part)) });
      const batches = image.pending();
      expect(batches).toHaveLength(PAGES);
      expect(equalBytes(imageBytes(image), bytes)).toBe(true);
      for (let at = 0; at < PAGES; at += 1024) {
        expect(image.gather(batches.subarray(at, at + 1024)).pages).toHaveLength(1024 * PAGE);
      }
    }
  });

  it('aborts: what waits is taken back, what runs is finished first', async () => {
    const { pool } = await poolOf(1);
    const bytes = randomBytes(PAGES * PAGE, 4);
    const image = stagedImage(PAGES, bytes);
    const control = new AbortController();
    const run = (task: DiffTask) => {
      const result = pool.run(task, { signal: control.signal });
      setImmediate(() => control.abort());
      return result;
    };
    await expect(image.settle({ run, signal: control.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    await image.settle();
    expect(equalBytes(imageBytes(image), bytes)).toBe(true);
  });
});

describe('DiffPool with buffers', () => {
  function pairs(count: number, shared: boolean): PagePair[] {
    return Array.from({ length: count }, (_, index) => {
      const pages = 1 + ((index * 37) % 60);
      const image = new Uint8Array(
        shared ? new SharedArrayBuffer(pages * PAGE) : new ArrayBuffer(pages * PAGE),
      );
      image.set(randomBytes(pages * PAGE, index));
      const next = image.slice();
      for (let page = 0; page < pages; page += 2) next[page * PAGE + index * 8]! ^= 0xff;
      return { next, image };
    });
  }

  it.each([true, false])('yields batches in order and updates the images (shared: %s)', async (shared) => {
    const { pool } = await poolOf(2);
    const input = pairs(25, shared);
    const expected = input.map(({ next, image }) => diffPagesPlainly(next, image.slice(), 503));
    const found = [];
    for await (const batch of pool.diff(input)) found.push(batch);
    expect(found).toEqual(expected);
    for (const { next, image } of input) expect(equalBytes(next, image)).toBe(true);
  });

  it('rejects when aborted, when closed, and for buffers that do not fit', async () => {
    const { pool } = await poolOf(2);
    const take = async (input: PagePair[], signal?: AbortSignal) => {
      for await (const batch of pool.diff(input, { signal })) expect(batch.gfns.length).toBeGreaterThan(0);
    };
    await expect(take(pairs(9, true), AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
    const odd = { next: new Uint8Array(PAGE), image: new Uint8Array(2 * PAGE) };
    await expect(take([odd])).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    await pool.close();
    await pool.close();
    await expect(take(pairs(9, true))).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  it('closes in the middle of work: what runs is finished, what waits rejects, and nothing comes later', async () => {
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', note);
    try {
      for (let turn = 0; turn < 3; turn++) {
        const { pool } = await poolOf(2);
        const bytes = randomBytes(PAGES * PAGE, turn);
        const image = stagedImage(PAGES, bytes);
        const settling = image.settle({ run: (task) => pool.run(task) });
        const failed = settling.then(
          () => undefined,
          (error: unknown) => error,
        );
        await delay(turn);
        await pool.close();
        const error = await failed;
        if (error !== undefined) expect(error).toMatchObject({ code: 'ARGUMENT_INVALID' });
        await image.settle();
        expect(equalBytes(image.read(0, PAGES), bytes)).toBe(true);
      }
      await delay(50);
    } finally {
      process.off('uncaughtException', note);
    }
    expect(uncaught).toEqual([]);
  });
});
