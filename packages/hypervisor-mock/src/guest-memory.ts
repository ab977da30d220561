import { DirtyBitmap } from '@fitdoc/bitmap';
import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { addToSum, hashPage, hashWord, type Checksum } from './checksum.js';

/** Pages in a chunk: memory is allocated 2 MiB at a time, when first written. */
export const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * PAGE_SIZE;
const PAGE_HALVES = PAGE_SIZE / 4;

/**
 * A guest's memory: sparse, with a dirty bitmap and a checksum that every write keeps up to date. Writes take
 * words as two 32-bit halves, since numbers hold no more.
 */
export class GuestMemory {
  readonly pages: number;
  readonly dirty: DirtyBitmap;
  readonly sum: Checksum = { low: 0, high: 0 };
  readonly #chunks: (Uint32Array | undefined)[];
  readonly #scratch: Checksum = { low: 0, high: 0 };
  readonly #before: Checksum = { low: 0, high: 0 };

  constructor(pages: number) {
    this.pages = pages;
    this.dirty = new DirtyBitmap(pages);
    this.#chunks = new Array<Uint32Array | undefined>(Math.ceil(pages / CHUNK_PAGES));
  }

  /** Numbers of the chunks that were ever written, ascending. */
  *allocatedChunks(): Generator<number, void, undefined> {
    for (const [index, chunk] of this.#chunks.entries()) if (chunk) yield index;
  }

  /** The bytes of an allocated chunk, cut at the end of memory; undefined when it was never written. */
  chunkBytes(index: number): Uint8Array | undefined {
    const chunk = this.#chunks[index];
    if (!chunk) return undefined;
    const length = Math.min(CHUNK_PAGES, this.pages - index * CHUNK_PAGES) * PAGE_SIZE;
    return new Uint8Array(chunk.buffer, 0, length);
  }

  /** The page as 1024 halves of words, to read only; undefined while nothing was written near it. */
  peek(gfn: number): Uint32Array | undefined {
    const chunk = this.#chunks[Math.floor(gfn / CHUNK_PAGES)];
    const offset = (gfn % CHUNK_PAGES) * PAGE_HALVES;
    return chunk?.subarray(offset, offset + PAGE_HALVES);
  }

  /** Whether the page holds nothing but zeros. */
  isZero(gfn: number): boolean {
    const chunk = this.#chunks[Math.floor(gfn / CHUNK_PAGES)];
    if (!chunk) return true;
    const from = (gfn % CHUNK_PAGES) * PAGE_HALVES;
    for (let i = from; i < from + PAGE_HALVES; i++) if (chunk[i] !== 0) return false;
    return true;
  }

  /** Bytes in memory that was allocated. */
  get residentBytes(): number {
    return [...this.allocatedChunks()].length * CHUNK_BYTES;
  }

  /** Writes one word and marks its page dirty. */
  writeWord(gfn: number, word: number, low: number, high: number): void {
    const chunk = this.#chunk(gfn);
    const at = (gfn % CHUNK_PAGES) * PAGE_HALVES + 2 * word;
    const change = this.#scratch;
    const before = this.#before;
    hashWord(word, chunk[at] as number, chunk[at + 1] as number, before);
    chunk[at] = low;
    chunk[at + 1] = high;
    hashWord(word, chunk[at], chunk[at + 1] as number, change);
    change.low -= before.low;
    change.high -= before.high;
    addToSum(this.sum, gfn, change);
    this.dirty.set(gfn);
  }

  /** Writes to a page with what it holds already: dirty for the log, the same for everyone else. */
  touch(gfn: number): void {
    this.#chunk(gfn);
    this.dirty.set(gfn);
  }

  /** Lets `change` write to the page freely. */
  update(gfn: number, change: (halves: Uint32Array) => void): void {
    const page = this.#page(gfn);
    hashPage(page, this.#before);
    change(page);
    hashPage(page, this.#scratch);
    this.#scratch.low -= this.#before.low;
    this.#scratch.high -= this.#before.high;
    addToSum(this.sum, gfn, this.#scratch);
    this.dirty.set(gfn);
  }

  /** Replaces the page by 4096 bytes. */
  writePage(gfn: number, bytes: Uint8Array): void {
    this.update(gfn, (page) => bytesOf(page).set(bytes));
  }

  /** Replaces a page that was zero by `template`, whose page sum is `sum`: how memory is filled at a boot. */
  fill(gfn: number, template: Uint32Array, sum: Checksum): void {
    this.#chunk(gfn).set(template, (gfn % CHUNK_PAGES) * PAGE_HALVES);
    addToSum(this.sum, gfn, sum);
    this.dirty.set(gfn);
  }

  /** Copies `count` pages from `gfn` to `target`, which holds that many. */
  copyTo(gfn: number, count: number, target: Uint8Array): void {
    for (let done = 0; done < count;) {
      const within = (gfn + done) % CHUNK_PAGES;
      const pages = Math.min(count - done, CHUNK_PAGES - within);
      const part = target.subarray(done * PAGE_SIZE, (done + pages) * PAGE_SIZE);
      const chunk = this.#chunks[Math.floor((gfn + done) / CHUNK_PAGES)];
      if (chunk) part.set(new Uint8Array(chunk.buffer, within * PAGE_SIZE, part.length));
      else part.fill(0);
      done += pages;
    }
  }

  /** The checksum computed from the memory as it is; equals `sum` unless something wrote behind our back. */
  recompute(): Checksum {
    const sum: Checksum = { low: 0, high: 0 };
    for (const chunk of this.allocatedChunks()) {
      const end = Math.min((chunk + 1) * CHUNK_PAGES, this.pages);
      for (let gfn = chunk * CHUNK_PAGES; gfn < end; gfn++) {
        hashPage(this.#page(gfn), this.#scratch);
        addToSum(sum, gfn, this.#scratch);
      }
    }
    return sum;
  }

  #page(gfn: number): Uint32Array {
    const offset = (gfn % CHUNK_PAGES) * PAGE_HALVES;
    return this.#chunk(gfn).subarray(offset, offset + PAGE_HALVES);
  }

  #chunk(gfn: number): Uint32Array {
    if (!(gfn >= 0 && gfn < this.pages)) {
      throw new FitdocError('ARGUMENT_INVALID', `The machine has no page ${gfn}.`, {
        hint: `Its pages are numbered 0 to ${this.pages - 1}.`,
      });
    }
    const index = Math.floor(gfn / CHUNK_PAGES);
    return (this.#chunks[index] ??= new Uint32Array(CHUNK_BYTES / 4));
  }
}

/** The same memory, byte by byte. */
export function bytesOf(halves: Uint32Array): Uint8Array {
  return new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);
}
