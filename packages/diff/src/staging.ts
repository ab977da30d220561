import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { setBit } from './bits.js';
import type { Shard } from './shard.js';

/** A group of consecutive staging slots of one shard; the unit in which staging is taken and given back. */
export interface Chunk {
  readonly shard: Shard;
  readonly index: number;
  used: number;
  /** Lent under a reservation: not to be compared before the capture ends. */
  pinned: boolean;
}

interface ShardSpace {
  readonly busy: boolean[];
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
  #used = 0;
  #committedChunks = 0;
  #reserved = 0;

  constructor(readonly budget: number) {
    const shape = chunkShape(budget);
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

  /** The slots of a chunk that are in use. */
  slots(chunk: Chunk): { from: number; to: number } {
    const from = chunk.index * this.#chunkPages;
    return { from, to: from + chunk.used };
  }

  reserve(pages: number): boolean {
    if (this.#used + pages > this.budget) return false;
    this.#reserved = Math.max(this.#reserved, pages);
    for (const chunk of this.#live) chunk.pinned = true;
    return true;
  }

  /** Ends all reservations: nobody writes into lent memory any more. */
  release(): void {
    this.#reserved = 0;
    for (const chunk of this.#live) chunk.pinned = false;
  }

  /** Stages up to `count` fresh pages from `page` in consecutive slots. Returns the first slot and how many. */
  take(shard: Shard, page: number, count: number): { slot: number; count: number } {
    const chunk = this.#openChunk(shard);
    const slot = chunk.index * this.#chunkPages + chunk.used;
    const room = Math.min(count, this.#chunkPages - chunk.used);
    for (let i = 0; i < room; i++) {
      shard.slotPage[slot + i] = page + i;
      shard.slotOf[page + i] = slot + i + 1;
      setBit(shard.staged, page + i);
    }
    chunk.used += room;
    this.#used += room;
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

  #space(shard: Shard): ShardSpace {
    let space = this.#spaces.get(shard);
    if (!space) this.#spaces.set(shard, (space = { busy: [], open: undefined, highWater: 0 }));
    return space;
  }

  #openChunk(shard: Shard): Chunk {
    const space = this.#space(shard);
    if (space.open && space.open.used < this.#chunkPages) return space.open;
    space.open = undefined;
    if (this.#reserved === 0) this.#makeRoom(shard, space);
    const index = firstIdle(space.busy);
    if (index >= this.#chunksPerShard) {
      throw new FitdocError(
        'MEMORY_BUDGET',
        'The staging area is full of pages that are still being filled.',
        {
          hint: 'Raise stagingPages, or reserve fewer pages at once.',
        },
      );
    }
    if (index >= space.highWater) {
      space.highWater = index + 1;
      this.#committedChunks++;
    }
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
      const spent = fresh && this.#committedChunks * this.#chunkPages >= limit;
      if (!full && !spent) return;
      const own = this.#oldest(shard);
      const victim = spent ? (own ?? (full ? this.#oldest() : undefined)) : this.#oldest();
      if (!victim) return;
      const { from, to } = this.slots(victim);
      victim.shard.kernel.diffSlots(from, to);
      this.free(new Set([victim]));
    }
  }

  #oldest(shard?: Shard): Chunk | undefined {
    return this.#live.find((chunk) => !chunk.pinned && (shard === undefined || chunk.shard === shard));
  }
}

function firstIdle(busy: readonly boolean[]): number {
  const index = busy.indexOf(false);
  return index < 0 ? busy.length : index;
}
