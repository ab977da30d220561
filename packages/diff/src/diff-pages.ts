import {
  KIND_UNCHANGED,
  KIND_WHOLE,
  MAX_BATCH_PAGES,
  PAGE_SIZE,
  WORDS_PER_PAGE,
  type PageBatch,
} from '@fitdoc/interface';
import { invalid, requireInteger } from './arguments.js';
import { ownMemory, WHOLE_ABOVE } from './gather.js';
import { GROUP_PAGES, PagesKernel } from './pages-kernel.js';

export interface DiffOptions {
  /** Pages with more changed words than this are stored whole. Default 503, where words cost as much. */
  readonly wholeAbove?: number | undefined;
}

/** Works in memory of its own only, so pages that differ are copied there. One a thread. */
let scratch: PagesKernel | undefined;

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
  const kernel = (scratch ??= new PagesKernel());
  kernel.begin();
  const total = next.length / PAGE_SIZE;
  const gfns = new Uint32Array(total);
  const kinds = new Uint8Array(total);
  let count = 0;
  let allChanged = false;
  for (let start = 0; start < total; start += GROUP_PAGES) {
    const end = Math.min(start + GROUP_PAGES, total);
    // Where all changed the next most likely did: looking first would only read them once more.
    const pages = allChanged ? range(start, end) : differingPages(next, image, start, end);
    const before = count;
    diffGroup(kernel, { next, image, pages }, wholeAbove).forEach((kind, index) => {
      if (kind === KIND_UNCHANGED) return;
      gfns[count] = pages[index]!;
      kinds[count++] = kind;
    });
    allChanged = count - before === end - start;
  }
  const { masks, words } = kernel.columns();
  return {
    gfns: gfns.slice(0, count),
    kinds: kinds.slice(0, count),
    masks: masks.slice(),
    words: copied([words]),
    pages: wholePages(next, gfns.subarray(0, count), kinds),
  };
}

interface Group {
  readonly next: Uint8Array;
  readonly image: Uint8Array;
  /** Which of them are to be compared, ascending. */
  readonly pages: readonly number[];
}

const NOTHING = new Uint8Array(0);

/** Gives the kinds of the group's pages and brings `image` up to date. */
function diffGroup(kernel: PagesKernel, { next, image, pages }: Group, wholeAbove: number): Uint8Array {
  if (pages.length === 0) return NOTHING;
  forEachRun(pages, (index, start, end) => {
    kernel.image.set(image.subarray(start, end), index * PAGE_SIZE);
    kernel.next.set(next.subarray(start, end), index * PAGE_SIZE);
  });
  const kinds = kernel.diff(pages.length, wholeAbove);
  forEachRun(pages, (_, start, end) => image.set(next.subarray(start, end), start));
  return kinds;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index);
}

function differingPages(next: Uint8Array, image: Uint8Array, first: number, last: number): number[] {
  const left = Buffer.from(next.buffer, next.byteOffset, next.length);
  const right = Buffer.from(image.buffer, image.byteOffset, image.length);
  const changed: number[] = [];
  for (let page = first; page < last; page++) {
    const [at, end] = [page * PAGE_SIZE, (page + 1) * PAGE_SIZE];
    if (left.compare(right, at, end, at, end) !== 0) changed.push(page);
  }
  return changed;
}

function wholePages(next: Uint8Array, gfns: Uint32Array, kinds: Uint8Array): Uint8Array {
  const whole = [...gfns].filter((_, index) => kinds[index] === KIND_WHOLE);
  const runs: Uint8Array[] = [];
  forEachRun(whole, (_, start, end) => runs.push(next.subarray(start, end)));
  return copied(runs);
}

function copied(parts: readonly Uint8Array[]): Uint8Array {
  const all = ownMemory(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** Calls `visit` with each run of adjacent pages: the index of its first page, its first byte and its end. */
function forEachRun(
  gfns: readonly number[],
  visit: (index: number, start: number, end: number) => void,
): void {
  for (let first = 0; first < gfns.length;) {
    let end = first + 1;
    while (end < gfns.length && gfns[end] === gfns[end - 1]! + 1) end++;
    visit(first, gfns[first]! * PAGE_SIZE, (gfns[end - 1]! + 1) * PAGE_SIZE);
    first = end;
  }
}
