import {
  KIND_WORDS,
  KIND_ZERO,
  MAX_BATCH_PAGES,
  PAGE_SIZE,
  WORDS_PER_PAGE,
  type Gfn,
  type PageBatch,
} from '@fitdoc/interface';
import { applyChange, changesOf } from './apply.js';
import { invalid, requireInteger, requireRun } from './arguments.js';
import { clearBit, countBits, lowestBit, setBit } from './bits.js';
import { coldPagesLost, dropAgain, pageIn, pageOut } from './cold/paging.js';
import { gatherSegment, joinBatches, ownMemory, takeFrom, WHOLE_ABOVE } from './gather.js';
import type { Segment } from './segment.js';
import { Shard, type ShardHandle } from './shard.js';

/** An image as it travels to another thread: structured-cloneable, the memory itself is shared. */
export interface ImageHandle {
  readonly pages: number;
  readonly shardPages: number;
  readonly shards: readonly ShardHandle[];
}

export interface GatherOptions {
  /** Pages with more changed words than this go whole. Default 503, where words cost as much as the page. */
  readonly wholeAbove?: number | undefined;
  /** One byte a gfn; not 0: store the page whole, even if nothing of it is pending. */
  readonly forceWhole?: Uint8Array | undefined;
  /**
   * Where to put the batch's words and pages, as far as it has room: 4 MiB suffice for any batch. It is good
   * until the buffer is used again. Default: memory of the batch's own, which costs more than to fill it.
   */
  readonly into?: Uint8Array | undefined;
}

/**
 * A memory image as every thread sees it: reading, gathering and loading. Threads may work at once on
 * different pages; the thread that made the image does everything else (`MemoryImage`).
 */
export class ImageView {
  readonly pages: number;
  protected readonly shardPages: number;
  readonly #shards: readonly (() => Shard)[];

  protected constructor(pages: number, shardPages: number, shards: readonly (() => Shard)[]) {
    this.pages = pages;
    this.shardPages = shardPages;
    this.#shards = shards;
  }

  /** The image behind a handle from another thread. */
  static attach(handle: ImageHandle): ImageView {
    const shards = handle.shards.map((shard) => () => Shard.attach(shard));
    return new ImageView(handle.pages, handle.shardPages, shards);
  }

  protected get shardCount(): number {
    return this.#shards.length;
  }

  protected shard(index: number): Shard {
    return this.#shards[index]!();
  }

  protected *allShards(): Generator<{ shard: Shard; firstGfn: number }> {
    for (let index = 0; index < this.#shards.length; index++) {
      yield { shard: this.shard(index), firstGfn: index * this.shardPages };
    }
  }

  /** What another thread needs to attach to this image. */
  handle(): ImageHandle {
    const shards = [...this.allShards()].map(({ shard }) => shard.handle);
    return { pages: this.pages, shardPages: this.shardPages, shards };
  }

  /**
   * The image's bytes of up to `count` pages from `gfn`: a view into shared memory, k × 4096 bytes with
   * 1 ≤ k ≤ count. It shows later changes. To read a page that was never written costs no memory.
   */
  read(gfn: Gfn, count: number): Uint8Array {
    requireRun(gfn, count, this.pages);
    const index = Math.floor(gfn / this.shardPages);
    const page = gfn - index * this.shardPages;
    const shard = this.shard(index);
    const end = Math.min(shard.layout.pages, page + count);
    this.#haveAll(shard, page, end);
    return shard.image.subarray(page * PAGE_SIZE, end * PAGE_SIZE);
  }

  /** Pages with a pending change, ascending. */
  pending(): Uint32Array {
    return this.#list((shard, word) => shard.pending[word]!);
  }

  /** Pages that are not known to be all zero, ascending: what a base has to hold. */
  occupied(): Uint32Array {
    return this.#list((shard, word) => shard.touched[word]! & ~shard.zero[word]!);
  }

  /**
   * Lays the pending changes of up to 1024 pages (strictly ascending) out as a batch, with the content that
   * the image has now. Pages with nothing pending are left out unless forced. Requires that everything staged for these pages is settled.
   */
  gather(gfns: Uint32Array, options: GatherOptions = {}): PageBatch {
    const wholeAbove = options.wholeAbove ?? WHOLE_ABOVE;
    requireInteger('wholeAbove', wholeAbove, 0, WORDS_PER_PAGE);
    const take = options.into ? takeFrom(options.into) : ownMemory;
    const segments = this.#segments(gfns, options.forceWhole);
    const [first] = segments;
    if (first && segments.length === 1) return gatherWarm(first, wholeAbove, { words: take, pages: take });
    // With several parts `take` gives memory for the joined columns only.
    const own = { words: ownMemory, pages: ownMemory };
    return joinBatches(
      segments.map((part) => gatherWarm(part, wholeAbove, own)),
      take,
    );
  }

  /**
   * Writes a batch's content into the image; it does not become pending. What is pending stays so. `out`: the pages then
   * go to the cold file, where the image has one, and take no memory.
   */
  apply(batch: PageBatch, options: { readonly out?: boolean | undefined } = {}): void {
    this.#haveBefore(batch);
    for (const change of changesOf(batch)) {
      requireRun(change.gfn, 1, this.pages);
      const index = Math.floor(change.gfn / this.shardPages);
      const page = change.gfn - index * this.shardPages;
      const shard = this.shard(index);
      if (change.kind === KIND_ZERO && shard.isKnownZero(page)) continue;
      if (shard.residency.isCold(page)) {
        // Words alone do not make a page whose other words are lost.
        if (change.kind === KIND_WORDS) continue;
        shard.residency.setResident(page);
      }
      setBit(shard.touched, page);
      clearBit(shard.zero, page);
      applyChange(change, shard.image.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE));
      if (change.kind === KIND_ZERO) setBit(shard.zero, page);
    }
    if (options.out && this.#hasFile)
      for (const { shard, pages } of this.#segments(batch.gfns, undefined)) pageOut(shard, pages);
  }

  get #hasFile(): boolean {
    return this.#shards.some((shard) => shard().residency.file !== undefined);
  }

  /** Has the pages in memory of which a batch brings words only. */
  #haveBefore({ gfns, kinds }: PageBatch): void {
    if (!this.#hasFile) return;
    for (const { shard, pages } of this.#segments(
      gfns.filter((_, index) => kinds[index] === KIND_WORDS),
      undefined,
    )) {
      const { read } = pageIn(shard, pages);
      for (const page of read) shard.residency.setResident(page);
    }
  }

  #haveAll(shard: Shard, from: number, end: number): void {
    const { residency } = shard;
    if (residency.file === undefined) return;
    const pages = Uint32Array.from({ length: end - from }, (_, index) => from + index);
    const { read, lost } = pageIn(shard, pages);
    if (lost.length > 0) throw coldPagesLost(lost.length);
    for (const page of read) residency.setResident(page);
  }

  #list(wordOf: (shard: Shard, word: number) => number): Uint32Array {
    let count = 0;
    for (const { shard } of this.allShards()) {
      for (let word = 0; word < shard.layout.bitmapWords; word++) count += countBits(wordOf(shard, word));
    }
    const gfns = new Uint32Array(count);
    let out = 0;
    for (const { shard, firstGfn } of this.allShards()) {
      for (let word = 0; word < shard.layout.bitmapWords; word++) {
        for (let live = wordOf(shard, word); live !== 0; live &= live - 1) {
          gfns[out++] = firstGfn + word * 32 + lowestBit(live);
        }
      }
    }
    return gfns;
  }

  #segments(gfns: Uint32Array, forceWhole: Uint8Array | undefined): Segment[] {
    if (gfns.length > MAX_BATCH_PAGES) invalid(`A batch holds at most ${MAX_BATCH_PAGES} pages.`);
    if (forceWhole && forceWhole.length !== gfns.length) invalid('forceWhole needs one byte for each gfn.');
    const segments: Segment[] = [];
    for (let start = 0; start < gfns.length;) {
      const index = Math.floor(gfns[start]! / this.shardPages);
      const firstGfn = index * this.shardPages;
      const limit = Math.min(firstGfn + this.shardPages, this.pages);
      let end = start;
      while (end < gfns.length && gfns[end]! < limit) {
        if (end > 0 && gfns[end]! <= gfns[end - 1]!) invalid('Page numbers must be strictly ascending.');
        end++;
      }
      if (end === start) invalid(`Page ${gfns[start]!} is not within the image or out of order.`);
      const forced = forceWhole ? forceWhole.slice(start, end) : new Uint8Array(end - start);
      segments.push({
        shard: this.shard(index),
        pages: gfns.subarray(start, end).map((gfn) => gfn - firstGfn),
        forced,
      });
      start = end;
    }
    return segments;
  }
}

/** Of cold pages the content is read, and their memory given back. */
function gatherWarm(
  segment: Segment,
  wholeAbove: number,
  take: Parameters<typeof gatherSegment>[2],
): PageBatch {
  const { read, lost } = pageIn(segment.shard, segment.pages);
  try {
    if (lost.length > 0) throw coldPagesLost(lost.length);
    return gatherSegment(segment, wholeAbove, take);
  } finally {
    dropAgain(segment.shard, read);
  }
}
