import { randomUUID } from 'node:crypto';
import { MAX_PAGES, PAGE_SIZE, type Gfn, type PageSink } from '@fitdoc/interface';
import { invalid, requireInteger, requireRun } from './arguments.js';
import { countBits, setBits } from './bits.js';
import { ImageView } from './image-view.js';
import { checkShardFits, CONTROL } from './layout.js';
import { settleStaging, type SettleOptions } from './settle.js';
import { Shard, type KernelKind } from './shard.js';
import { chunkShape, Staging } from './staging.js';

export interface MemoryImageOptions {
  /** Pages of the guest. */
  readonly pages: number;
  /** Pages a shard, each of which is one WebAssembly memory. Default 524288 (2 GiB). */
  readonly shardPages?: number | undefined;
  /** Most pages staged at a time. Default 65536 (256 MiB), never more than the guest has. */
  readonly stagingPages?: number | undefined;
  /** `typescript` is several times slower; it is there to check the WebAssembly kernel. */
  readonly kernel?: KernelKind | undefined;
}

export interface CaptureStats {
  /** Pages placed or said to be zero in this capture, each counted once. */
  readonly placedPages: number;
  /** Of these, pages that held what the image held. */
  readonly unchangedPages: number;
  /** Changed pages that are now all zero. */
  readonly zeroPages: number;
  /** Pages whose image changed in this capture. */
  readonly changedPages: number;
  /** Words that changed; one that changed twice counts twice. */
  readonly changedWords: number;
}

const DEFAULT_SHARD_PAGES = 524_288;
const DEFAULT_STAGING_PAGES = 65_536;

/**
 * A guest's memory as of the last capture, with the changes since the last checkpoint pending.
 *
 * Captured pages go to a staging area; `settle` compares them with the image, brings it up to date and marks
 * the changed words as pending. They stay pending, through any number of captures, until `clearPending`.
 * All methods but those of `ImageView` belong to the thread that made the image.
 */
export class MemoryImage extends ImageView implements PageSink {
  readonly #staging: Staging;
  /** Shards in which something was placed in this capture. */
  readonly #used = new Set<Shard>();
  #settling = false;

  private constructor(pages: number, shardPages: number, shards: readonly Shard[], stagingPages: number) {
    super(
      pages,
      shardPages,
      shards.map((shard) => () => shard),
    );
    this.#staging = new Staging(stagingPages);
  }

  /**
   * Makes an image of `pages` zero pages. Takes address space at once, memory only as pages are written.
   * Errors: ARGUMENT_INVALID, MEMORY_BUDGET when the host refuses the address space.
   */
  static create(options: MemoryImageOptions): MemoryImage {
    const { pages, kernel = 'wasm' } = options;
    requireInteger('pages', pages, 1, MAX_PAGES);
    const stagingPages = Math.min(pages, options.stagingPages ?? DEFAULT_STAGING_PAGES);
    requireInteger('stagingPages', stagingPages, 1, MAX_PAGES);
    const shardPages = Math.min(pages, options.shardPages ?? DEFAULT_SHARD_PAGES);
    requireInteger('shardPages', shardPages, 1, MAX_PAGES);
    const { chunkPages, chunksPerShard } = chunkShape(stagingPages);
    const slots = chunkPages * chunksPerShard;
    checkShardFits(shardPages, slots);
    const id = randomUUID();
    const shards: Shard[] = [];
    for (let first = 0; first < pages; first += shardPages) {
      const size = Math.min(shardPages, pages - first);
      shards.push(Shard.create(size, slots, { id: `${id}/${shards.length}`, firstGfn: first, kernel }));
    }
    return new MemoryImage(pages, shardPages, shards, stagingPages);
  }

  /**
   * Starts a capture: counts from zero, and ends the loans of the last one. Pages that a failed capture
   * left staged stay so, and are compared with the next.
   */
  beginCapture(): void {
    this.#requireIdle();
    this.#staging.release();
    for (const shard of this.#used) {
      shard.placed.fill(0);
      shard.changed.fill(0);
      Atomics.store(shard.changedWords, 0, 0n);
      // A worker that died while it gathered cannot have given its scratch block back.
      Atomics.store(shard.control, CONTROL.blockLocks, 0);
    }
    this.#used.clear();
  }

  reserve(pages: number): boolean {
    requireInteger('pages', pages, 0, Number.MAX_SAFE_INTEGER);
    return this.#staging.reserve(pages);
  }

  place(gfn: Gfn, count: number): Uint8Array {
    this.#requireIdle();
    const { shard, page, length } = this.#locate(gfn, count);
    const slotOf = shard.slotOf;
    let slot = slotOf[page]! - 1;
    let size = 1;
    if (slot >= 0) {
      while (size < length && slotOf[page + size] === slot + size + 1) size++;
    } else {
      while (size < length && slotOf[page + size] === 0) size++;
      ({ slot, count: size } = this.#staging.take(shard, page, size));
    }
    setBits(shard.placed, page, page + size);
    return this.#staging.view(shard, slot, size);
  }

  zero(gfn: Gfn, count: number): void {
    this.#requireIdle();
    requireRun(gfn, count, this.pages);
    for (let done = 0; done < count;) {
      const { shard, page, length } = this.#locate(gfn + done, count - done);
      setBits(shard.placed, page, page + length);
      shard.kernel.zeroPages(page, page + length, false);
      done += length;
    }
  }

  /**
   * After a `full` harvest: pages that were not placed in this capture become zero. Takes time only for those
   * that were not zero.
   */
  zeroUnplaced(): void {
    this.#requireIdle();
    for (const { shard } of this.allShards()) {
      this.#used.add(shard);
      shard.kernel.zeroPages(0, shard.layout.pages, true);
    }
  }

  /**
   * Compares all staged pages with the image and marks what changed as pending; ends all loans.
   * On failure (a worker died: WORKER_DIED; ABORTED; what `run` rejects with) no task is running any more,
   * what was not compared is still staged, and the next `settle` does it. Counts of a capture whose
   * worker died may then miss words.
   */
  async settle(options: SettleOptions = {}): Promise<void> {
    this.#requireIdle();
    this.#settling = true;
    try {
      for (const chunk of this.#staging.live) this.#used.add(chunk.shard);
      await settleStaging(this.#staging, options);
      this.#staging.release();
    } finally {
      this.#settling = false;
    }
  }

  /** What this capture brought, as far as it is settled. */
  captureStats(): CaptureStats {
    const sum = { placedPages: 0, unchangedPages: 0, zeroPages: 0, changedPages: 0, changedWords: 0 };
    for (const shard of this.#used) {
      const { placed, changed, zero } = shard;
      sum.changedWords += Number(Atomics.load(shard.changedWords, 0));
      for (let word = 0; word < shard.layout.bitmapWords; word++) {
        const put = placed[word]!;
        const differs = changed[word]!;
        sum.placedPages += countBits(put);
        sum.changedPages += countBits(differs);
        sum.unchangedPages += countBits(put & ~differs);
        sum.zeroPages += countBits(differs & zero[word]!);
      }
    }
    return sum;
  }

  /** Forgets what is pending: the checkpoint that holds it is durable. */
  clearPending(): void {
    this.#requireIdle();
    for (const { shard } of this.allShards()) shard.kernel.clearPending();
  }

  /**
   * Bytes of memory that the image holds, from above: pages once written, staging once used, bookkeeping.
   * Where the host backs memory with huge pages it may be more.
   */
  committedBytes(): number {
    let bytes = this.#staging.committedPages * PAGE_SIZE;
    for (const { shard } of this.allShards()) {
      let touched = 0;
      for (const word of shard.touched) touched += countBits(word);
      bytes += touched * (PAGE_SIZE + 64 + 4) + shard.layout.bitmapWords * 24;
    }
    return bytes;
  }

  #locate(gfn: Gfn, count: number): { shard: Shard; page: number; length: number } {
    requireRun(gfn, count, this.pages);
    const index = Math.floor(gfn / this.shardPages);
    const shard = this.shard(index);
    const page = gfn - index * this.shardPages;
    this.#used.add(shard);
    return { shard, page, length: Math.min(count, shard.layout.pages - page) };
  }

  #requireIdle(): void {
    if (this.#settling)
      invalid('The image is being settled.', 'Await settle before the next capture begins.');
  }
}
