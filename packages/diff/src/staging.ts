import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { setBit } from './bits.js';
import { bringIn } from './cold/paging.js';
import { discard } from './cold/discard.js';
import type { Shard } from './shard.js';

/** A group of consecutive staging slots of one shard; the unit in which staging is taken and given back. */
export interface Chunk {
  readonly shard: Shard;
  readonly index: number;
  used: number;
  /** Lent under a reservation: not to be compared before the capture ends. */
  pinned: boolean;
}

/** What an image that may take only so much memory is asked by its staging area. */
export interface Bound {
  /** Most pages staged at a time. */
  readonly staged: number;
  /** Pages of memory that may still be taken. */
  room(): number;
  /** Gives memory back, on this thread, until there is room for so many pages. Errors: MEMORY_BUDGET. */
  makeRoom(pages: number): void;
  /** Before these pages of the shard are compared on this thread: makes room for them. Errors: MEMORY_BUDGET. */
  comparing(shard: Shard, pages: Uint32Array): void;
}

interface ShardSpace {
  readonly busy: boolean[];
  /** Chunks below this number were used since memory was last given back. */
  recent: number;
  open: Chunk | undefined;
  /** Chunks below this number were used at some time and may hold committed memory. */
  highWater: number;
}

/** Chunks that a shard has beyond what the budget asks for, so that a full reservation leaves a way on. */
const SPARE_CHUNKS = 3;

/** Slots a chunk, and chunks a shard, for a budget of staging pages. */
export function chunkShape(stagingPages: number): { chunkPages: number; chunksPerShard: number } {
  const chunkPages = Math.max(1, Math.min(256, Math.floor(stagingPages / 32)));
  return { chunkPages, chunksPerShard: Math.ceil(stagingPages / chunkPages) + SPARE_CHUNKS };
}

/**
 * Hands out staging slots. All shards together hold about `budget` staged pages (up to a
 * chunk more), and commit as many and a chunk a shard;
 * a reservation may commit that many in each shard it meets, since nobody knows beforehand where pages fall.
 */
export class Staging {
  readonly #spaces = new Map<Shard, ShardSpace>();
  readonly #chunkPages: number;
  readonly #chunksPerShard: number;
  /** Oldest first. */
  #live: Chunk[] = [];
  /** Lent before it is known which pages they will hold. */
  readonly #lent = new Set<Chunk>();
  #used = 0;
  #committedChunks = 0;
  #reserved = 0;
  #bound: Bound | undefined;

  constructor(private readonly most: number) {
    const shape = chunkShape(most);
    this.#chunkPages = shape.chunkPages;
    this.#chunksPerShard = shape.chunksPerShard;
  }

  /** Chunks that hold staged pages, oldest first. */
  get live(): readonly Chunk[] {
    return this.#live;
  }

  get committedPages(): number {
    return this.#committedChunks * this.#chunkPages;
  }

  /** Pages that may be staged at a time. */
  get budget(): number {
    return this.#bound ? Math.min(this.most, this.#bound.staged) : this.most;
  }

  /** From now on memory is taken only as far as there is room. */
  set bound(bound: Bound | undefined) {
    this.#bound = bound;
  }

  /** Pages staged now. */
  get used(): number {
    return this.#used;
  }

  /**
   * Gives the memory of chunks back that were not in use since the last call, and of all idle ones when the area has
   * more than `pages`.
   */
  shrink(pages: number): void {
    const all = this.committedPages > pages;
    for (const [shard, space] of this.#spaces) {
      const busy = space.busy.lastIndexOf(true) + 1;
      const keep = Math.max(busy, all ? 0 : space.recent);
      // One quiet capture does not tell that the next will be.
      space.recent = Math.max(busy, Math.floor(space.recent * 0.8));
      if (keep >= space.highWater) continue;
      discard(this.view(shard, keep * this.#chunkPages, (space.highWater - keep) * this.#chunkPages));
      this.#committedChunks -= space.highWater - keep;
      space.highWater = keep;
    }
  }

  /** The slots of a chunk that are in use. */
  slots(chunk: Chunk): { from: number; to: number } {
    const from = chunk.index * this.#chunkPages;
    return { from, to: from + chunk.used };
  }

  reserve(pages: number): boolean {
    if (this.#used + pages > this.budget) return false;
    if (this.#bound && pages > this.#idle() + this.#bound.room()) return false;
    this.#reserved = Math.max(this.#reserved, pages);
    for (const chunk of this.#live) chunk.pinned = true;
    return true;
  }

  /** Ends all reservations and loans: nobody writes into lent memory any more. */
  release(): void {
    this.#reserved = 0;
    for (const chunk of this.#live) chunk.pinned = false;
    for (const chunk of this.#lent) this.#space(chunk.shard).busy[chunk.index] = false;
    this.#lent.clear();
  }

  /**
   * Consecutive free chunks of a shard with about `pages` slots, for pages that `land` will name: one at least,
   * fewer than asked for where free ones do not lie together. Compares what is staged, on this thread, until there
   * is room.
   */
  lend(shard: Shard, pages: number): Chunk[] {
    const { busy } = this.#space(shard);
    const wanted = this.#lendable(Math.min(pages, Math.floor(this.budget / 4)));
    for (let victim; this.#used + wanted > this.budget && (victim = this.#oldest());) this.#compare(victim);
    this.#bound?.makeRoom(wanted - this.#idle());
    while (firstIdle(busy) >= this.#chunksPerShard) {
      const victim = this.#oldest(shard);
      if (!victim) throw stagingFull();
      this.#compare(victim);
    }
    const first = firstIdle(busy);
    const chunks: Chunk[] = [];
    for (let index = first; index < this.#chunksPerShard && busy[index] !== true; index++) {
      if (chunks.length * this.#chunkPages >= Math.max(1, wanted)) break;
      busy[index] = true;
      chunks.push({ shard, index, used: 0, pinned: false });
    }
    for (const chunk of chunks) this.#lent.add(chunk);
    return chunks;
  }

  /** How much of `pages` there is room for without a comparison; all of it where that is less than a chunk. */
  #lendable(pages: number): number {
    const free = this.budget - this.#used;
    const room = this.#bound ? Math.min(free, this.#idle() + this.#bound.room()) : free;
    return room < this.#chunkPages ? pages : Math.min(pages, room);
  }

  /** The bytes of chunks that `lend` gave. */
  lentBytes(chunks: readonly Chunk[]): Uint8Array {
    const { shard, index } = chunks[0]!;
    return this.view(shard, index * this.#chunkPages, chunks.length * this.#chunkPages);
  }

  /** Stages the pages that the first slots of lent chunks hold; the rest of the chunks is free again. */
  land(chunks: readonly Chunk[], pages: Uint32Array): void {
    chunks.forEach((chunk, place) => {
      if (!this.#lent.delete(chunk)) return;
      const held = pages.subarray(place * this.#chunkPages, (place + 1) * this.#chunkPages);
      const space = this.#space(chunk.shard);
      if (held.length === 0) {
        space.busy[chunk.index] = false;
        return;
      }
      this.#commit(space, chunk.index);
      this.#live.push(chunk);
      for (const page of held) this.#stage(chunk, page);
    });
  }

  /** Stages up to `count` fresh pages from `page` in consecutive slots. Returns the first slot and how many. */
  take(shard: Shard, page: number, count: number): { slot: number; count: number } {
    const chunk = this.#openChunk(shard);
    const slot = chunk.index * this.#chunkPages + chunk.used;
    const room = Math.min(count, this.#chunkPages - chunk.used);
    for (let i = 0; i < room; i++) this.#stage(chunk, page + i);
    if (this.#reserved > 0) {
      chunk.pinned = true;
      this.#reserved = Math.max(0, this.#reserved - room);
    }
    return { slot, count: room };
  }

  /** The bytes of `count` slots. */
  view(shard: Shard, slot: number, count: number): Uint8Array {
    return shard.slots.subarray(slot * PAGE_SIZE, (slot + count) * PAGE_SIZE);
  }

  /** Gives back chunks whose slots have all been compared or dropped. */
  free(done: ReadonlySet<Chunk>): void {
    this.#live = this.#live.filter((chunk) => !done.has(chunk));
    for (const chunk of done) {
      const space = this.#space(chunk.shard);
      space.busy[chunk.index] = false;
      if (space.open === chunk) space.open = undefined;
      this.#used -= chunk.used;
    }
  }

  /** Notes that a chunk's next free slot holds a page; one that is staged elsewhere already is so no longer. */
  #stage(chunk: Chunk, page: number): void {
    const { slotPage, slotOf, staged } = chunk.shard;
    const slot = chunk.index * this.#chunkPages + chunk.used;
    slotPage[slot] = page;
    slotOf[page] = slot + 1;
    setBit(staged, page);
    chunk.used++;
    this.#used++;
  }

  /** Pages that can be staged without taking memory. */
  #idle(): number {
    return this.committedPages - this.#used;
  }

  #commit(space: ShardSpace, index: number): void {
    space.recent = Math.max(space.recent, index + 1);
    if (index < space.highWater) return;
    this.#committedChunks += index + 1 - space.highWater;
    space.highWater = index + 1;
  }

  #compare(chunk: Chunk): void {
    const { from, to } = this.slots(chunk);
    const { shard } = chunk;
    const pages = this.#bound && shard.slotPage.slice(from, to).sort();
    if (pages) {
      this.#bound?.comparing(shard, pages);
      bringIn(shard, pages);
    }
    shard.kernel.diffSlots(from, to);
    this.free(new Set([chunk]));
  }

  #space(shard: Shard): ShardSpace {
    let space = this.#spaces.get(shard);
    if (!space) this.#spaces.set(shard, (space = { busy: [], recent: 0, open: undefined, highWater: 0 }));
    return space;
  }

  #openChunk(shard: Shard): Chunk {
    const space = this.#space(shard);
    if (space.open && space.open.used < this.#chunkPages) return space.open;
    space.open = undefined;
    if (this.#reserved === 0) this.#makeRoom(shard, space);
    const index = firstIdle(space.busy);
    if (index >= this.#chunksPerShard) throw stagingFull();
    this.#commit(space, index);
    space.busy[index] = true;
    const chunk: Chunk = { shard, index, used: 0, pinned: false };
    space.open = chunk;
    this.#live.push(chunk);
    return chunk;
  }

  /** Compares the oldest chunks on this thread until one more chunk fits. */
  #makeRoom(shard: Shard, space: ShardSpace): void {
    // Each shard's last chunk may be partly empty.
    const limit = this.budget + this.#spaces.size * this.#chunkPages;
    for (;;) {
      const full = this.#used >= this.budget;
      const fresh = firstIdle(space.busy) >= space.highWater;
      const short = this.#bound !== undefined && this.#bound.room() < this.#chunkPages;
      const spent = fresh && (short || this.#committedChunks * this.#chunkPages >= limit);
      if (!full && !spent) return;
      const own = this.#oldest(shard);
      const victim = spent ? (own ?? (full ? this.#oldest() : undefined)) : this.#oldest();
      if (!victim) {
        if (short) this.#bound?.makeRoom(this.#chunkPages);
        return;
      }
      this.#compare(victim);
    }
  }

  #oldest(shard?: Shard): Chunk | undefined {
    return this.#live.find((chunk) => !chunk.pinned && (shard === undefined || chunk.shard === shard));
  }
}

function stagingFull(): FitdocError {
  return new FitdocError('MEMORY_BUDGET', 'The staging area is full of pages that are still being filled.', {
    hint: 'Raise stagingPages, or reserve fewer pages at once.',
  });
}

function firstIdle(busy: readonly boolean[]): number {
  const index = busy.indexOf(false);
  return index < 0 ? busy.length : index;
}
