import { describe, expect, it } from 'vitest';
import { MemoryImage } from '../src/index.js';
import { equalBytes, PAGE, randomBytes } from './pages.js';

const GIB_PAGES = 2 ** 30 / PAGE;

/** Resident bytes that a piece of work adds. */
async function growth(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss();
  await work();
  return process.memoryUsage.rss() - before;
}

describe('a sparse guest', () => {
  it('of 6 GiB costs what was written, across all shards', async () => {
    const pages = 6 * GIB_PAGES;
    const image = MemoryImage.create({ pages, shardPages: GIB_PAGES, stagingPages: 512 });
    const gfns = Array.from({ length: 2000 }, (_, i) => Math.floor((i * (pages - 1)) / 1999));
    const grown = await growth(async () => {
      image.beginCapture();
      for (const gfn of gfns) image.place(gfn, 1).set(randomBytes(PAGE, gfn));
      image.zeroUnplaced();
      await image.settle();
      expect([...image.pending()]).toEqual(gfns);
      expect(image.gather(image.pending().subarray(0, 1024)).gfns).toHaveLength(1024);
      image.clearPending();
      image.beginCapture();
      image.zero(0, pages);
      await image.settle();
      expect(image.captureStats()).toMatchObject({ placedPages: pages, changedPages: 2000, zeroPages: 2000 });
    });
    expect(image.occupied()).toHaveLength(0);
    expect(grown).toBeLessThan(200e6);
    expect(image.committedBytes()).toBeLessThan(60e6);
  });

  it('holds the last page of 6 GiB right', async () => {
    const pages = 6 * GIB_PAGES;
    const image = MemoryImage.create({ pages });
    image.beginCapture();
    for (const gfn of [0, 2 * GIB_PAGES - 1, 2 * GIB_PAGES, pages - 1]) {
      image.place(gfn, 1).set(randomBytes(PAGE, gfn));
    }
    await image.settle();
    expect(equalBytes(image.read(pages - 1, 1), randomBytes(PAGE, pages - 1))).toBe(true);
    expect([...image.gather(image.pending()).gfns]).toEqual([0, 2 * GIB_PAGES - 1, 2 * GIB_PAGES, pages - 1]);
  });

  it('of 64 GiB can be made, cleared and listed for next to nothing', async () => {
    const grown = await growth(async () => {
      const image = MemoryImage.create({ pages: 64 * GIB_PAGES });
      image.beginCapture();
      image.place(64 * GIB_PAGES - 1, 1).fill(1);
      await image.settle();
      expect([...image.pending()]).toEqual([64 * GIB_PAGES - 1]);
      image.clearPending();
    });
    expect(grown).toBeLessThan(100e6);
  });
});
