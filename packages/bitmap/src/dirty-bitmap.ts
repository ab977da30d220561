import { FitdocError, MAX_PAGES, type Gfn, type PageRun } from '@fitdoc/interface';
import { pagesOfStorage, runsOfStorage } from './scan-storage.js';
import { Storage } from './storage.js';

/** The storage of a bitmap, for this package's own modules. */
export let storageOf: (bitmap: DirtyBitmap) => Storage;

const ITERATOR_ENTRIES = 2048;

/**
 * One bit a page, in the layout that KVM's dirty log and Xen's log-dirty operation hand out: little-endian
 * 64-bit words, page 0 in the lowest bit of the first. The bits live in a WebAssembly memory of the bitmap's
 * own, where the scan works on them.
 *
 * Methods that take pages throw ARGUMENT_INVALID for pages that the bitmap does not have.
 */
export class DirtyBitmap {
  /** Number of pages, 1 to 2^30. */
  readonly pages: number;
  /**
   * The bits themselves, in whole 64-bit words: read them, or let a hypervisor write here. Bits behind the
   * last page count for nothing and may be cleared at any time. The memory never moves; do not transfer it.
   */
  readonly bytes: Uint8Array;
  readonly #storage: Storage;

  static {
    storageOf = (bitmap) => bitmap.#storage;
  }

  /**
   * An empty bitmap, or one with a copy of `bytes` (see `load`).
   * Errors: ARGUMENT_INVALID for a number of pages that is none of 1 to 2^30.
   */
  constructor(pages: number, bytes?: Uint8Array) {
    if (!Number.isInteger(pages) || pages < 1 || pages > MAX_PAGES) {
      throw new FitdocError('ARGUMENT_INVALID', `A bitmap cannot have ${pages} pages.`, {
        hint: `Give a whole number from 1 to ${MAX_PAGES}.`,
      });
    }
    this.#storage = new Storage(pages);
    this.pages = pages;
    this.bytes = this.#storage.bytes;
    if (bytes) this.load(bytes);
  }

  /**
   * Replaces all bits by a copy of `bytes`, which needs to have a bit for each page; bits and bytes beyond are
   * ignored. Errors: ARGUMENT_INVALID when it is too short.
   */
  load(bytes: Uint8Array): void {
    const needed = Math.ceil(this.pages / 8);
    if (bytes.length < needed) {
      throw new FitdocError(
        'ARGUMENT_INVALID',
        `A bitmap of ${this.pages} pages needs ${needed} bytes, not ${bytes.length}.`,
        { hint: 'Hand in the whole bitmap, one bit a page.' },
      );
    }
    this.bytes.fill(0, needed);
    this.bytes.set(bytes.length > this.bytes.length ? bytes.subarray(0, this.bytes.length) : bytes);
    this.#storage.clearTail();
  }

  /** Whether the page is dirty. */
  test(gfn: Gfn): boolean {
    this.#check(gfn, 1);
    return ((this.bytes[gfn >>> 3] as number) & (1 << (gfn & 7))) !== 0;
  }

  /** Marks a page dirty. */
  set(gfn: Gfn): void {
    this.#check(gfn, 1);
    this.bytes[gfn >>> 3] = (this.bytes[gfn >>> 3] as number) | (1 << (gfn & 7));
  }

  /** Marks a page clean. */
  clear(gfn: Gfn): void {
    this.#check(gfn, 1);
    this.bytes[gfn >>> 3] = (this.bytes[gfn >>> 3] as number) & ~(1 << (gfn & 7));
  }

  /** Marks `count` pages from `start` dirty. */
  setRun(start: Gfn, count: number): void {
    this.#fill(start, count, true);
  }

  /** Marks `count` pages from `start` clean. */
  clearRun(start: Gfn, count: number): void {
    this.#fill(start, count, false);
  }

  /** Marks all pages clean. */
  clearAll(): void {
    this.bytes.fill(0);
  }

  /** Adds the dirty pages of `other`. Errors: ARGUMENT_INVALID when it has another number of pages. */
  or(other: DirtyBitmap): void {
    this.#checkSame(other);
    this.#storage.merge(other.#storage, 'mergeOr');
  }

  /** Takes away the dirty pages of `other`. Errors: ARGUMENT_INVALID when it has another number of pages. */
  andNot(other: DirtyBitmap): void {
    this.#checkSame(other);
    this.#storage.merge(other.#storage, 'mergeAndNot');
  }

  /** Number of dirty pages. */
  count(): number {
    this.#storage.clearTail();
    return this.#storage.kernel.count(this.bytes.length / 8);
  }

  /**
   * The runs of dirty pages in ascending order, each as long as it can be. Changes of the bitmap while
   * iterating may or may not be seen; `scanRuns` is faster where objects are not wanted.
   */
  *runs(): Generator<PageRun, void, undefined> {
    const found = new Uint32Array(2 * ITERATOR_ENTRIES);
    for (let from = 0; from < this.pages;) {
      const { written, next } = runsOfStorage(this.#storage, found, from);
      from = next;
      for (let i = 0; i < 2 * written; i += 2) {
        yield { start: found[i] as number, count: found[i + 1] as number };
      }
    }
  }

  /** The dirty pages in ascending order; otherwise like `runs`. */
  *gfns(): Generator<Gfn, void, undefined> {
    const found = new Uint32Array(ITERATOR_ENTRIES);
    for (let from = 0; from < this.pages;) {
      const { written, next } = pagesOfStorage(this.#storage, found, from);
      from = next;
      for (let i = 0; i < written; i++) yield found[i] as number;
    }
  }

  #fill(start: Gfn, count: number, dirty: boolean): void {
    this.#check(start, count);
    let gfn = start;
    const end = start + count;
    const one = dirty ? (page: number) => this.set(page) : (page: number) => this.clear(page);
    while (gfn < end && gfn & 7) one(gfn++);
    const wholeEnd = end - (end & 7);
    if (gfn < wholeEnd) {
      this.bytes.fill(dirty ? 255 : 0, gfn / 8, wholeEnd / 8);
      gfn = wholeEnd;
    }
    while (gfn < end) one(gfn++);
  }

  #check(start: Gfn, count: number): void {
    const fits = Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count >= 0;
    if (fits && start + count <= this.pages) return;
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `The bitmap of ${this.pages} pages does not have ${count} pages from ${start}.`,
      { hint: 'Pages count from 0 in the order of the machine regions.' },
    );
  }

  #checkSame(other: DirtyBitmap): void {
    if (other.pages === this.pages) return;
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `A bitmap of ${other.pages} pages cannot be combined with one of ${this.pages}.`,
      { hint: 'Combine bitmaps of the same machine only.' },
    );
  }
}
