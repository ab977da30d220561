import { MAX_BATCH_PAGES, PAGE_SIZE, WORDS_PER_PAGE, type PageBatch } from '@fitdoc/interface';
import { invalid, requireInteger } from './arguments.js';
import { gatherSegment, joinBatches, WHOLE_ABOVE } from './gather.js';
import { Shard } from './shard.js';

export interface DiffOptions {
  /** Pages with more changed words than this are stored whole. Default 503, where words cost as much. */
  readonly wholeAbove?: number | undefined;
}

/** Pages that the kernel takes at a time: both sides of them fit a core's cache. */
const GROUP_PAGES = 32;

/** The kernel works in its own memory only, so pages that differ are copied there. One a thread. */
let scratch: Shard | undefined;

/**
 * Compares two buffers of the same whole number of pages, at most 1024, brings `image` up to date and returns
 * what changed; the pages are numbered from 0. The result shares no memory with the buffers, which may lie in
 * shared memory but must not overlap. Errors: ARGUMENT_INVALID.
 */
export function diffPages(next: Uint8Array, image: Uint8Array, options: DiffOptions = {}): PageBatch {
  if (next.length !== image.length || next.length % PAGE_SIZE !== 0) {
    invalid(
      `Two buffers of ${next.length} and ${image.length} bytes are not the same whole number of pages.`,
    );
  }
  if (next.length > MAX_BATCH_PAGES * PAGE_SIZE) invalid(`At most ${MAX_BATCH_PAGES} pages fit a batch.`);
  const wholeAbove = options.wholeAbove ?? WHOLE_ABOVE;
  requireInteger('wholeAbove', wholeAbove, 0, WORDS_PER_PAGE);
  const changed = differingPages(next, image);
  const parts: PageBatch[] = [];
  for (let start = 0; start < changed.length; start += GROUP_PAGES) {
    parts.push(diffGroup(next, image, changed.slice(start, start + GROUP_PAGES), wholeAbove));
  }
  return { ...joinBatches(parts), gfns: Uint32Array.from(changed) };
}

function differingPages(next: Uint8Array, image: Uint8Array): number[] {
  const left = Buffer.from(next.buffer, next.byteOffset, next.length);
  const right = Buffer.from(image.buffer, image.byteOffset, image.length);
  const changed: number[] = [];
  for (let at = 0; at < left.length; at += PAGE_SIZE) {
    const end = at + PAGE_SIZE;
    if (left.compare(right, at, end, at, end) !== 0) changed.push(at / PAGE_SIZE);
  }
  return changed;
}

function diffGroup(next: Uint8Array, image: Uint8Array, gfns: number[], wholeAbove: number): PageBatch {
  const shard = (scratch ??= createScratch());
  shard.zero.fill(0);
  gfns.forEach((gfn, slot) => {
    const start = gfn * PAGE_SIZE;
    shard.image.set(image.subarray(start, start + PAGE_SIZE), slot * PAGE_SIZE);
    shard.slots.set(next.subarray(start, start + PAGE_SIZE), slot * PAGE_SIZE);
    shard.slotOf[slot] = slot + 1;
  });
  shard.kernel.diffSlots(0, gfns.length);
  const pages = Uint32Array.from(gfns, (_, slot) => slot);
  const forced = new Uint8Array(gfns.length);
  const batch = gatherSegment({ shard, pages, forced }, wholeAbove);
  shard.kernel.clearPending();
  gfns.forEach((gfn, slot) => {
    image.set(shard.image.subarray(slot * PAGE_SIZE, (slot + 1) * PAGE_SIZE), gfn * PAGE_SIZE);
  });
  return batch;
}

function createScratch(): Shard {
  const shard = Shard.create(GROUP_PAGES, GROUP_PAGES, { id: 'scratch', firstGfn: 0, kernel: 'wasm' });
  shard.touched.fill(-1);
  for (let slot = 0; slot < GROUP_PAGES; slot++) shard.slotPage[slot] = slot;
  return shard;
}
