import { closeSync, ftruncateSync, openSync, readdirSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isFitdocError, MAX_BATCH_PAGES } from '@fitdoc/interface';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { applyBatch, ColdFile, ImageView, MemoryImage, runDiffTask } from '../src/index.js';
import { History, stepsOf, type Step } from './history.js';
import { equalBytes, PAGE, randomBytes } from './pages.js';

const PAGES = 75;
const shapes = fc.record({
  shardPages: fc.integer({ min: 1, max: 80 }),
  stagingPages: fc.integer({ min: 1, max: 90 }),
});
const bounds = fc.array(fc.integer({ min: 2, max: 90 }), { minLength: 1, maxLength: 6 });
const files: ColdFile[] = [];

/** A file of its own; on any file system, since how fast it is does not matter here. */
function coldFile(sealed = false): ColdFile {
  const file = ColdFile.open({ directory: tmpdir(), sealed });
  files.push(file);
  return file;
}

afterEach(() => {
  for (const file of files.splice(0)) file.close();
});

/** Plays steps; after each checkpoint the image has its memory trimmed to the next of the bounds. */
async function live(history: History, steps: readonly Step[], file: ColdFile, limits: readonly number[]) {
  let turn = 0;
  for (const step of steps) {
    await history.play(step);
    if (step.type !== 'checkpoint') continue;
    history.image.bound(limits[turn++ % limits.length]!, file);
    await history.image.trim();
  }
}

describe('a bounded MemoryImage over random histories', () => {
  it.each([false, true])(
    'holds what was placed last, and its batches rebuild it (sealed: %s)',
    async (sealed) => {
      const property = fc.asyncProperty(shapes, stepsOf(PAGES), bounds, async (shape, steps, limits) => {
        const file = coldFile(sealed);
        const history = new History(MemoryImage.create({ pages: PAGES, ...shape }));
        history.image.bound(limits[0]!, file);
        await live(history, [...steps, { type: 'checkpoint' }], file, limits);
        expect(equalBytes(history.replica, history.guest)).toBe(true);
        expect(equalBytes(history.imageBytes(), history.guest)).toBe(true);
        expect(history.image.pending()).toHaveLength(0);
      });
      await fc.assert(property, { numRuns: sealed ? 20 : 100 });
    },
  );

  it('stores whole, and loses nothing, what the disk lost or never took', async () => {
    const faults = fc.array(fc.constantFrom('none', 'cut', 'garbled'), { minLength: 1, maxLength: 5 });
    const property = fc.asyncProperty(
      ...([shapes, stepsOf(PAGES), bounds, faults, fc.boolean()] as const),
      async (shape, steps, limits, spoilings, full) => {
        const file = full ? fullDisk() : coldFile();
        const image = MemoryImage.create({ pages: PAGES, ...shape });
        image.bound(limits[0]!, file);
        const guest = new Guest(image);
        for (const [turn, step] of steps.entries()) {
          await guest.play(step);
          if (step.type !== 'checkpoint') continue;
          image.bound(limits[turn % limits.length]!, file);
          await image.trim().catch(unlessShort);
          if (!full) spoil(file, spoilings[turn % spoilings.length]!);
        }
        // The disk is good again, and there is memory.
        image.bound(1000, file);
        await guest.play({ type: 'checkpoint' });
        expect(equalBytes(guest.replica, guest.bytes)).toBe(true);
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });
});

/** As `History`, for disks that fail: what a capture could not place stays dirty, a failed checkpoint is followed by a full one. */
class Guest {
  readonly bytes = new Uint8Array(PAGES * PAGE);
  readonly replica = new Uint8Array(PAGES * PAGE);
  readonly #dirty = new Set<number>();
  #seed = 0;

  constructor(readonly image: MemoryImage) {
    image.beginCapture();
  }

  async play(step: Step): Promise<void> {
    if (step.type === 'place') this.#write(step.gfn, step.edits.length);
    if (step.type === 'zero') this.#clear(step.gfn, step.count);
    if (step.type === 'capture' || step.type === 'settle')
      this.#tolerant(() => this.#capture([...this.#dirty]));
    if (step.type === 'checkpoint') await this.#checkpoint();
  }

  #write(first: number, count: number): void {
    for (let gfn = first; gfn < Math.min(PAGES, first + count); gfn++) {
      const at = gfn * PAGE + ((this.#seed * 8) % 4096);
      this.bytes.set(randomBytes(8, ++this.#seed), at);
      this.#dirty.add(gfn);
    }
  }

  #clear(first: number, count: number): void {
    const end = Math.min(PAGES, first + count);
    this.bytes.fill(0, first * PAGE, end * PAGE);
    for (let gfn = first; gfn < end; gfn++) this.#dirty.add(gfn);
  }

  #capture(gfns: readonly number[]): void {
    for (const gfn of gfns) {
      const page = this.bytes.subarray(gfn * PAGE, (gfn + 1) * PAGE);
      if (page.every((byte) => byte === 0)) this.image.zero(gfn, 1);
      else this.image.place(gfn, 1).set(page);
      this.#dirty.delete(gfn);
    }
  }

  #tolerant(capture: () => void): boolean {
    try {
      this.image.beginCapture();
      capture();
      return true;
    } catch (error) {
      unlessShort(error);
      return false;
    }
  }

  async #checkpoint(): Promise<void> {
    if (!this.#tolerant(() => this.#capture([...this.#dirty]))) return;
    if (await this.#store()) return;
    // What failed had captured pages that nobody has any more: all are taken again.
    const everything = Array.from({ length: PAGES }, (_, gfn) => gfn);
    for (const gfn of everything) this.#dirty.add(gfn);
    if (this.#tolerant(() => this.#capture(everything))) await this.#store();
  }

  async #store(): Promise<boolean> {
    try {
      await this.image.settle();
      const pending = this.image.pending();
      const batch = this.image.gather(pending.subarray(0, MAX_BATCH_PAGES));
      applyBatch(batch, this.replica);
      this.image.clearPending();
      return true;
    } catch (error) {
      unlessShort(error);
      return false;
    }
  }
}

/** What was captured and not stored yet stays in memory when the disk takes none. */
function unlessShort(error: unknown): void {
  if (!isFitdocError(error, 'MEMORY_BUDGET')) throw error;
}

/** Every write fails with ENOSPC. */
function fullDisk(): ColdFile {
  const descriptor = openSync('/dev/full', 'r+');
  const file = { descriptor, directory: '/dev', key: undefined, close: () => closeSync(descriptor) };
  const open = file as unknown as ColdFile;
  files.push(open);
  return open;
}

function spoil({ descriptor }: ColdFile, how: string): void {
  if (how === 'cut') ftruncateSync(descriptor, 20 * PAGE);
  if (how === 'garbled') for (let gfn = 0; gfn < PAGES; gfn += 3) writeSync(descriptor, 'x', gfn * PAGE + 99);
}

describe('a bounded MemoryImage', () => {
  it('takes no more memory than its bound, and holds what it held', async () => {
    const pages = 2048;
    const image = MemoryImage.create({ pages, stagingPages: 512 });
    image.bound(600, coldFile());
    const bytes = randomBytes(pages * PAGE, 3);
    image.beginCapture();
    for (let gfn = 0; gfn < pages; gfn++) {
      image.place(gfn, 1).set(bytes.subarray(gfn * PAGE, (gfn + 1) * PAGE));
      if (gfn % 64 === 0) expect(image.committedBytes()).toBeLessThan(700 * PAGE);
    }
    await image.settle();
    expect(image.committedBytes()).toBeLessThan(700 * PAGE);
    const batch = image.gather(image.pending().subarray(0, MAX_BATCH_PAGES));
    expect(equalBytes(batch.pages, bytes.subarray(0, MAX_BATCH_PAGES * PAGE))).toBe(true);
    expect(image.committedBytes()).toBeLessThan(700 * PAGE);
  });

  it('compares nothing, and touches no file, while a reserved capture places', async () => {
    const image = MemoryImage.create({ pages: 2048, stagingPages: 512 });
    image.bound(600, coldFile());
    image.beginCapture();
    for (let gfn = 0; gfn < 2048; gfn++) image.place(gfn, 1).fill(gfn);
    await image.settle();
    image.clearPending();
    await image.trim();
    image.beginCapture();
    expect(image.reserve(301)).toBe(false);
    expect(image.reserve(200)).toBe(true);
    for (let gfn = 0; gfn < 200; gfn++) image.place(gfn * 10, 1).fill(1);
    expect(image.captureStats()).toMatchObject({ placedPages: 200, changedPages: 0 });
    await image.settle();
    expect(image.pending()).toHaveLength(200);
  });

  it('gives pages to other threads as they are', async () => {
    const image = MemoryImage.create({ pages: 100, shardPages: 30, stagingPages: 40 });
    image.bound(20, coldFile());
    const bytes = randomBytes(100 * PAGE, 4);
    ImageView.attach(image.handle()).apply(wholePages(bytes), { out: true });
    expect(image.committedBytes()).toBeLessThan(20 * PAGE);
    image.beginCapture();
    for (let gfn = 0; gfn < 100; gfn++) image.place(gfn, 1).set(bytes.subarray(gfn * PAGE, (gfn + 1) * PAGE));
    await image.settle({ run: (task) => Promise.resolve(runDiffTask(structuredClone(task))) });
    expect(image.pending()).toHaveLength(0);
    expect(equalBytes(image.read(17, 1), bytes.subarray(17 * PAGE, 18 * PAGE))).toBe(true);
  });
});

function wholePages(bytes: Uint8Array) {
  const count = bytes.length / PAGE;
  const none = new Uint8Array(0);
  return {
    gfns: Uint32Array.from({ length: count }, (_, gfn) => gfn),
    kinds: new Uint8Array(count).fill(2),
    ...{ masks: none, words: none, pages: bytes },
  };
}

describe('ColdFile', () => {
  it('has no name', () => {
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('.fitdoc'));
    const file = coldFile();
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('.fitdoc'))).toEqual(before);
    expect(writeSync(file.descriptor, new Uint8Array(PAGE), 0, PAGE, 5 * PAGE)).toBe(PAGE);
  });

  it('names the directory that cannot be used', () => {
    expect(() => ColdFile.open({ directory: '/no/such/place' })).toThrow(
      expect.objectContaining({
        code: 'MEMORY_BUDGET',
        message: expect.stringContaining('/no/such/place') as string,
      }) as Error,
    );
  });
});
