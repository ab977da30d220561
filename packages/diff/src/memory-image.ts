import { randomUUID } from 'node:crypto';
import { FitdocError, MAX_PAGES, PAGE_SIZE, type Gfn, type LentArea, type PageSink } from '@fitdoc/interface';
import { invalid, requireInteger, requireRun } from './arguments.js';
import { countBits, setBit, setBits } from './bits.js';
import type { ColdFile } from './cold/cold-file.js';
import { canDiscard, discard } from './cold/discard.js';
import { ImageBound, type RunTask } from './cold/image-bound.js';
import { zeroCold } from './cold/paging.js';
import { residentPages } from './cold/victims.js';
import { ImageView } from './image-view.js';
import { checkShardFits, CONTROL } from './layout.js';
import { settleStaging, type SettleOptions } from './settle.js';
import { Shard, type KernelKind } from './shard.js';
import { chunkShape, Staging, type Chunk } from './staging.js';

export interface MemoryImageOptions {
  /** Pages of the guest. */
  readonly pages: number;
  /** Pages a shard, each of which is one WebAssembly memory. Default 524288 (2 GiB). */
  readonly shardPages?: number | undefined;
  /** Most pages staged at a time. Default 65536 (256 MiB), never more than the guest has. */
  readonly stagingPages?: number | undefined;
  /** `typescript` is several times slower; it is there to check the WebAssembly kernel. */
  readonly kernel?: KernelKind | undefined;
  /** Compares what `prepare` has to; see `SettleOptions`. Default: this thread. */
  readonly run?: RunTask | undefined;
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
  readonly #run: RunTask | undefined;
  /** Shards in which something was placed in this capture. */
  readonly #used = new Set<Shard>();
  readonly #lent = new Map<LentArea, readonly Chunk[]>();
  #settling = false;
  #bound: ImageBound | undefined;

  private constructor(
    pages: number,
    shardPages: number,
    shards: readonly Shard[],
    stagingPages: number,
    run: RunTask | undefined,
  ) {
    super(
      pages,
      shardPages,
      shards.map((shard) => () => shard),
    );
    this.#staging = new Staging(stagingPages);
    this.#run = run;
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
    return new MemoryImage(pages, shardPages, shards, stagingPages, options.run);
  }

  /**
   * Bounds the memory that pages of the image and staging take together, in pages of 4096 bytes: what has no place is in
   * `file`. May be called again, with another number and the same file. Takes effect with the next capture or `trim`.
   * Errors: ARGUMENT_INVALID, CAPABILITY_MISSING where the host does not take memory back.
   */
  bound(pages: number, file: ColdFile): void {
    requireInteger('pages', pages, 2, Number.MAX_SAFE_INTEGER);
    const shards = [...this.allShards()].map(({ shard }) => shard);
    if (this.#bound) {
      this.#bound.pages = pages;
      return;
    }
    const { buffer, layout } = shards[0]!;
    if (!canDiscard(new Uint8Array(buffer, layout.blocks, PAGE_SIZE))) throw cannotDiscard();
    for (const shard of shards) shard.residency.use(file.descriptor, file.key);
    this.#bound = new ImageBound(shards, this.#staging, pages);
    this.#staging.bound = this.#bound;
  }

  /**
   * Gives memory back that is beyond the bound or that the next capture is expected to need; for after a checkpoint.
   * Gives the number of pages that neither had a place nor could be written: they are stored whole when they next come.
   */
  async trim(options: { readonly run?: RunTask | undefined } = {}): Promise<number> {
    if (!this.#bound) return 0;
    this.#requireIdle();
    this.#settling = true;
    try {
      await this.#bound.trim(options.run);
      return this.#bound.takeLost();
    } finally {
      this.#settling = false;
    }
  }

  /**
   * Starts a capture: counts from zero, and ends the loans of the last one. Pages that a failed capture
   * left staged stay so, and are compared with the next.
   */
  beginCapture(): void {
    this.#requireIdle();
    this.#endLoans();
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

  async prepare(pages: number): Promise<boolean> {
    if (this.reserve(pages)) return true;
    await this.settle({ run: this.#run });
    // In vain nothing is moved out of memory.
    if (pages > this.#staging.budget) return false;
    if (this.#bound) {
      this.#staging.shrink(this.#bound.staged);
      await this.#bound.prepare(pages);
    }
    return this.reserve(pages);
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
      zeroCold(shard, page, page + length, false);
      shard.kernel.zeroPages(page, page + length, false);
      done += length;
    }
  }

  lend(pages: number): readonly LentArea[] {
    this.#requireIdle();
    requireInteger('pages', pages, 1, MAX_PAGES);
    return [...this.allShards()].map(({ shard, firstGfn }) => {
      const chunks = this.#staging.lend(shard, pages);
      const bytes = this.#staging.lentBytes(chunks) as Uint8Array<SharedArrayBuffer>;
      const area = { firstGfn, gfnCount: shard.layout.pages, bytes };
      this.#lent.set(area, chunks);
      return area;
    });
  }

  landed(area: LentArea, gfns: Uint32Array): void {
    this.#requireIdle();
    const chunks = this.#lent.get(area);
    if (!chunks) invalid('The area is not one that is lent now.');
    const pages = gfns.map((gfn) => gfn - area.firstGfn);
    if (pages.length * PAGE_SIZE > area.bytes.length || pages.some((page) => page >= area.gfnCount))
      invalid('The pages do not fit the area or are not those that it is for.');
    this.#lent.delete(area);
    const { shard } = chunks[0]!;
    this.#staging.land(chunks, pages);
    for (const page of pages) setBit(shard.placed, page);
    this.#used.add(shard);
  }

  /**
   * After a `full` harvest: pages that were not placed in this capture become zero. Takes time only for those
   * that were not zero.
   */
  zeroUnplaced(): void {
    this.#requireIdle();
    for (const { shard } of this.allShards()) {
      this.#used.add(shard);
      zeroCold(shard, 0, shard.layout.pages, true);
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
      await settleStaging(this.#staging, options, this.#bound?.through(options.run));
      this.#endLoans();
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
    this.#bound?.cleared();
    for (const { shard } of this.allShards()) {
      const cleared = shard.kernel.clearPending();
      // They are zero now: of a whole guest's pages they would be worth having back.
      if (this.#bound && cleared * 32 > shard.layout.pages) discard(wholePages(shard.masks));
    }
  }

  /**
   * Bytes of memory that the image holds, from above: pages once written, staging once used, bookkeeping.
   * Where the host backs memory with huge pages it may be more.
   */
  committedBytes(): number {
    let bytes = this.#staging.committedPages * PAGE_SIZE;
    for (const { shard } of this.allShards()) {
      bytes += residentPages(shard) * (PAGE_SIZE + 64 + 4) + shard.layout.bitmapWords * 24;
    }
    return bytes;
  }

  #endLoans(): void {
    this.#staging.release();
    this.#lent.clear();
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

/** The part of an area that consists of whole pages of the system's. */
function wholePages(bytes: Uint8Array): Uint8Array {
  const from = Math.ceil(bytes.byteOffset / PAGE_SIZE) * PAGE_SIZE;
  const end = Math.floor((bytes.byteOffset + bytes.length) / PAGE_SIZE) * PAGE_SIZE;
  return end > from ? bytes.subarray(from - bytes.byteOffset, end - bytes.byteOffset) : bytes.subarray(0, 0);
}

function cannotDiscard(): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', 'This host does not take memory of an image back.', {
    hint: 'It takes 64-bit Linux and koffi with its binary for this platform (npm install without --omit=optional); or a memory budget that holds the whole guest.',
  });
}
