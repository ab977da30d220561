import {
  PAGE_SIZE,
  WORDS_PER_PAGE,
  type MemoryRegion,
  type PageExtent,
  type PageRun,
} from '@fitdoc/interface';
import type { Window } from './windows.js';

/** The runs of pages of a window that are not zero and lie in one of `regions`, as extents. */
export function* extentsOf(window: Window, regions: readonly MemoryRegion[]): Generator<PageExtent> {
  const words = new BigUint64Array(window.bytes.buffer, window.bytes.byteOffset, window.bytes.length / 8);
  for (const run of window.touched.runs()) {
    for (const part of clip(run, window.run.start, regions)) {
      for (const { start, count } of nonZero(words, part)) {
        const bytes = window.bytes.subarray(start * PAGE_SIZE, (start + count) * PAGE_SIZE);
        yield { gfn: window.run.start + start, bytes };
      }
    }
  }
}

/** The parts of `run` (counted from page `origin`) that lie in a region; none crosses a region's border. */
function* clip(run: PageRun, origin: number, regions: readonly MemoryRegion[]): Generator<PageRun> {
  for (const region of regions) {
    const start = Math.max(run.start, region.firstGfn - origin);
    const end = Math.min(run.start + run.count, region.firstGfn + region.pages - origin);
    if (start < end) yield { start, count: end - start };
  }
}

function* nonZero(words: BigUint64Array, run: PageRun): Generator<PageRun> {
  let start = run.start;
  const end = run.start + run.count;
  for (let page = run.start; page < end; page++) {
    if (!isZero(words, page)) continue;
    if (page > start) yield { start, count: page - start };
    start = page + 1;
  }
  if (end > start) yield { start, count: end - start };
}

function isZero(words: BigUint64Array, page: number): boolean {
  const end = (page + 1) * WORDS_PER_PAGE;
  for (let word = page * WORDS_PER_PAGE; word < end; word++) if (words[word] !== 0n) return false;
  return true;
}
