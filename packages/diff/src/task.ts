import { MAX_BATCH_PAGES, WORDS_PER_PAGE, type PageBatch } from '@fitdoc/interface';
import { requireInteger } from './arguments.js';
import { bringIn, pageOut } from './cold/paging.js';
import { testBit } from './bits.js';
import { gatherSegment, joinBatches, joinBatchesIn, partMemory, takeFrom, WHOLE_ABOVE } from './gather.js';
import { Shard, type ShardHandle } from './shard.js';

/** A part of what is staged, to be compared by any thread with `runDiffTask`. Structured-cloneable. */
export interface DiffTask {
  readonly shard: ShardHandle;
  /** Pairs of first slot and end slot. */
  readonly slots: readonly number[];
  /** Pages of the shard, ascending, whose memory is given back first: their content goes to the cold file. */
  readonly out?: Uint32Array;
}

export interface DiffResult {
  /** Pages compared. */
  readonly pages: number;
  /**
   * Those of these pages that have a pending change now, ascending; at most 1024. Not all that is pending
   * after a settle comes by in its tasks: pages that were said to be zero, were compared to make room, or were
   * pending before do not.
   */
  readonly gfns: Uint32Array;
  /** Pages of `out` that could not be written and stayed in memory, and those that were given up. */
  readonly stayed?: number;
  readonly lost?: number;
}

export interface GatherTaskOptions {
  /** Pages with more changed words than this go whole. Default 503, where words cost as much as the page. */
  readonly wholeAbove?: number | undefined;
  /** Whether to store a page with a pending change whole, however little of it changed. Default: no page. */
  readonly forceWhole?: ((gfn: number) => boolean) | undefined;
  /** Where to put the batch's words and pages, as in `GatherOptions`. */
  readonly into?: Uint8Array | undefined;
}

/** Most pages of one task: what is gathered from it fits a batch. */
export const MOST_TASK_PAGES = MAX_BATCH_PAGES;
/** Pages compared before they are gathered: both sides and the words fit the cache of a core. */
const GROUP_PAGES = 128;

/**
 * Compares the task's staged pages with the image. Tasks of one `settle` touch different pages and may run
 * at once, anywhere. To run a task again is harmless, and completes one whose thread died.
 */
export function runDiffTask(task: DiffTask): DiffResult {
  const shard = Shard.attach(task.shard);
  const failed = task.out && pageOut(shard, task.out);
  const slots = ownedSlots(shard, task);
  compare(shard, slots);
  const { firstGfn } = shard.handle;
  const gfns = pendingPages(shard, slots).map((page) => firstGfn + page);
  return { pages: slots.length, gfns, ...failed };
}

/**
 * As `runDiffTask`, and gathers what is pending of the compared pages, a few at a time while they are in the
 * cache: a good deal faster than gathering later.
 */
export function runGatherTask(
  task: DiffTask,
  options: GatherTaskOptions = {},
): DiffResult & { readonly batch: PageBatch } {
  const wholeAbove = options.wholeAbove ?? WHOLE_ABOVE;
  requireInteger('wholeAbove', wholeAbove, 0, WORDS_PER_PAGE);
  const shard = Shard.attach(task.shard);
  const slots = ownedSlots(shard, task);
  // Pages staged out of order come in order only when all are there.
  const size = isAscending(shard, slots) ? GROUP_PAGES : MAX_BATCH_PAGES;
  const own = partMemory();
  const into = options.into && takeFrom(options.into);
  const memory = { words: into ?? own, pages: own };
  const parts: PageBatch[] = [];
  for (let start = 0; start < slots.length; start += size) {
    const group = slots.subarray(start, start + size);
    compare(shard, group);
    const pages = pendingPages(shard, group);
    if (pages.length === 0) continue;
    const forced = new Uint8Array(pages.length);
    const force = options.forceWhole;
    if (force) pages.forEach((page, i) => (forced[i] = force(shard.handle.firstGfn + page) ? 1 : 0));
    parts.push(gatherSegment({ shard, pages, forced }, wholeAbove, memory));
  }
  const batch = into ? joinBatchesIn(parts, into) : joinBatches(parts);
  return { pages: slots.length, gfns: batch.gfns, batch };
}

/** The task's slots that still hold the newest content of a page. */
function ownedSlots(shard: Shard, task: DiffTask): Uint32Array {
  const owned = new Uint32Array(MAX_BATCH_PAGES);
  let count = 0;
  const { slotOf, slotPage } = shard;
  for (let i = 0; i < task.slots.length; i += 2) {
    for (let slot = task.slots[i]!; slot < task.slots[i + 1]!; slot++) {
      if (slotOf[slotPage[slot]!] === slot + 1) owned[count++] = slot;
    }
  }
  return owned.subarray(0, count);
}

/** Compares the slots, each stretch of consecutive ones in one call. */
function compare(shard: Shard, slots: Uint32Array): void {
  if (shard.residency.file !== undefined) bringIn(shard, slots.map((slot) => shard.slotPage[slot]!).sort());
  for (let start = 0; start < slots.length;) {
    let end = start + 1;
    while (end < slots.length && slots[end] === slots[end - 1]! + 1) end++;
    shard.kernel.diffSlots(slots[start]!, slots[end - 1]! + 1);
    start = end;
  }
}

/** The pages of these slots that have a pending change, ascending. */
function pendingPages(shard: Shard, slots: Uint32Array): Uint32Array {
  const pages = new Uint32Array(slots.length);
  let count = 0;
  let sorted = true;
  for (const slot of slots) {
    const page = shard.slotPage[slot]!;
    if (!testBit(shard.pending, page)) continue;
    if (count > 0 && page < pages[count - 1]!) sorted = false;
    pages[count++] = page;
  }
  const found = pages.subarray(0, count);
  return sorted ? found : found.sort();
}

function isAscending(shard: Shard, slots: Uint32Array): boolean {
  for (let index = 1; index < slots.length; index++) {
    if (shard.slotPage[slots[index]!]! <= shard.slotPage[slots[index - 1]!]!) return false;
  }
  return true;
}
