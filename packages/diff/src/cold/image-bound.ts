import { FitdocError } from '@fitdoc/interface';
import { testBit } from '../bits.js';
import type { Gate, Part } from '../settle.js';
import type { Shard } from '../shard.js';
import type { Bound, Staging } from '../staging.js';
import { runDiffTask, type DiffResult, type DiffTask } from '../task.js';
import { pageOut } from './paging.js';
import { pendingPages, residentPages, Victims } from './victims.js';

/** Runs a task, here or on another thread. */
export type RunTask = (task: DiffTask) => Promise<DiffResult>;

/** Pages that one task pages out. */
const TASK_PAGES = 2048;
/** Masks a page of memory. */
const MASKS_PER_PAGE = 64;
/** How much of what was needed lately is still expected after one capture that needed less. */
const FADES = 0.8;

/** Keeps an image within a number of pages of memory, by its cold file. */
export class ImageBound implements Bound, Gate {
  readonly #shards: readonly Shard[];
  readonly #staging: Staging;
  readonly #victims = new Victims();
  #pages: number;
  #resident = 0;
  #pending = 0;
  /** Pages that the comparisons of this capture brought into memory, and what is expected of the next. */
  #growth = 0;
  #expected = 0;
  #lost = 0;
  #counted = false;
  #run: RunTask = (task) => Promise.resolve(runDiffTask(task));

  constructor(shards: readonly Shard[], staging: Staging, pages: number) {
    this.#shards = shards;
    this.#staging = staging;
    this.#pages = pages;
    this.recount();
  }

  get pages(): number {
    return this.#pages;
  }

  set pages(pages: number) {
    this.#pages = pages;
  }

  get staged(): number {
    return Math.max(1, Math.floor(this.#pages / 2));
  }

  /** Pages that were given up because they could not be written, since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  room(): number {
    const masks = Math.ceil(this.#pending / MASKS_PER_PAGE);
    return this.#pages - this.#resident - this.#staging.committedPages - masks;
  }

  /** Counts anew what is in memory. */
  recount(): void {
    this.#resident = this.#shards.reduce((sum, shard) => sum + residentPages(shard), 0);
    this.#pending = this.#shards.reduce((sum, shard) => sum + pendingPages(shard), 0);
  }

  /** Nothing is pending any more. */
  cleared(): void {
    this.#pending = 0;
  }

  /** Pages that there is no room for. What was noted on the way is never too little; counting takes its time. */
  #short(pages: number): number {
    if (pages > this.room()) this.recount();
    return pages - this.room();
  }

  makeRoom(pages: number): void {
    const short = this.#short(pages);
    if (short <= 0) return;
    for (const [shard, out] of this.#victims.choose(this.#shards, short)) {
      this.#gone(out.length, pageOut(shard, out));
    }
  }

  comparing(shard: Shard, pages: Uint32Array): void {
    const growth = growthOf(shard, pages);
    this.makeRoom(growth);
    this.#resident += growth;
    this.#pending += growth;
  }

  /** For one settling: who runs the tasks. */
  through(run: RunTask | undefined): Gate {
    this.#growth = 0;
    if (run) this.#run = run;
    return this;
  }

  async admit(parts: Part[]): Promise<Part[]> {
    const growths = parts.map(partGrowth);
    const all = growths.reduce((sum, growth) => sum + growth, 0);
    this.#growth = Math.max(this.#growth, all);
    await this.#makeRoomElsewhere(Math.max(growths[0] ?? 0, Math.min(all, Math.floor(this.#pages / 4))));
    const room = this.room();
    let taken = 0;
    let count = 0;
    while (count < parts.length && (count === 0 || taken + growths[count]! <= room))
      taken += growths[count++]!;
    this.#resident += taken;
    this.#pending += taken;
    return parts.splice(0, count);
  }

  /** Before a pause that brings so many pages: has memory for them free. */
  async prepare(pages: number): Promise<void> {
    await this.#makeRoomElsewhere(pages);
  }

  /** After a checkpoint, when nothing is in a hurry: gives back what the next capture is expected to need. */
  async trim(run: RunTask | undefined): Promise<void> {
    if (run) this.#run = run;
    this.#expected = Math.max(this.#growth, Math.floor(this.#expected * FADES));
    this.#growth = 0;
    this.#staging.shrink(this.staged);
    // Other threads may have loaded pages before the first time.
    if (!this.#counted) this.recount();
    this.#counted = true;
    const headroom = Math.min(Math.floor(this.#pages / 3), Math.ceil(this.#expected * 1.25));
    await this.#makeRoomElsewhere(headroom);
  }

  async #makeRoomElsewhere(pages: number): Promise<void> {
    const short = this.#short(pages);
    if (short <= 0) return;
    const tasks: DiffTask[] = [];
    for (const [shard, out] of this.#victims.choose(this.#shards, short)) {
      for (let from = 0; from < out.length; from += TASK_PAGES)
        tasks.push({ shard: shard.handle, slots: [], out: out.slice(from, from + TASK_PAGES) });
    }
    // All of them end before one that failed is told of: nobody may be at work on the image then.
    const results = await Promise.allSettled(tasks.map((task) => this.#run(task)));
    results.forEach((result, index) => {
      if (result.status === 'rejected') throw result.reason;
      const { stayed = 0, lost = 0 } = result.value;
      this.#gone(tasks[index]!.out!.length, { stayed, lost });
    });
  }

  #gone(chosen: number, { stayed, lost }: { stayed: number; lost: number }): void {
    this.#resident -= chosen - stayed;
    this.#lost += lost;
    if (stayed > 0) throw fileFull(stayed);
  }
}

function growthOf(shard: Shard, pages: Iterable<number>): number {
  let growth = 0;
  for (const page of pages) if (!testBit(shard.touched, page) || shard.residency.isCold(page)) growth++;
  return growth;
}

function partGrowth({ chunks, task }: Part): number {
  const { shard } = chunks[0]!;
  let growth = 0;
  for (let i = 0; i < task.slots.length; i += 2)
    growth += growthOf(shard, shard.slotPage.subarray(task.slots[i], task.slots[i + 1]));
  return growth;
}

function fileFull(pages: number): FitdocError {
  return new FitdocError(
    'MEMORY_BUDGET',
    `The file for what has no place in memory cannot be written: ${pages} captured pages have none.`,
    {
      retryable: true,
      hint: 'Give its disk room, name another directory, or raise the memory budget. Nothing is lost: the pages stay in memory and are part of the next checkpoint.',
    },
  );
}
