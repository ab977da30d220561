import { PAGE_SIZE, type PageSink } from '@fitdoc/interface';
import type { PfnSpace } from '../../memory/pfn-space.js';
import type { OutsidePages } from '../../memory/outside-pages.js';

/** Room beyond the pages that are known to be dirty: about twice what a suspend itself writes to. */
const SPARE_PAGES = 1024;
/** Most pages that are held: 16 MiB. What is more goes to the sink at once. */
const MOST_PAGES = 4096;

/** Of so many dirty pages, those that a pause may bring beyond what is held: portions are held whole or not at all. */
export function pagesBeyondHeld(dirtyPages: number, portion: number): number {
  const all = dirtyPages + SPARE_PAGES;
  return all <= MOST_PAGES ? 0 : all - MOST_PAGES + portion;
}

/**
 * Pages copied in a pause in whole portions, one after another as they come: finding each one's place in the sink
 * is left for the time when the guest runs again.
 */
export class HeldPages {
  #bytes = new Uint8Array(0);
  #pfns = new Uint32Array(0);
  #count = 0;

  /**
   * Forgets what a failed capture held, and sees to room for so many pages and some more, in memory that is there: no
   * page fault is left for the pause.
   */
  prepare(pages: number): void {
    this.#count = 0;
    const wanted = Math.min(MOST_PAGES, pages + SPARE_PAGES);
    if (this.#pfns.length >= wanted) return;
    this.#bytes = new Uint8Array(wanted * PAGE_SIZE).fill(1);
    this.#pfns = new Uint32Array(wanted);
  }

  /** Holds copies of pages; false when there is no room for all of them. */
  hold(pfns: Uint32Array, bytes: Uint8Array): boolean {
    if (this.#count + pfns.length > this.#pfns.length) return false;
    this.#pfns.set(pfns, this.#count);
    this.#bytes.set(bytes, this.#count * PAGE_SIZE);
    this.#count += pfns.length;
    return true;
  }

  /** Places all that is held, in its order, and holds nothing any more. */
  deliver(space: PfnSpace, outside: OutsidePages, sink: PageSink, each: (pfn: number) => void): void {
    const count = this.#count;
    this.#count = 0;
    for (let index = 0; index < count;) {
      const pfn = this.#pfns[index]!;
      const gfn = space.gfnOf(pfn);
      const limit = gfn < 0 ? 1 : space.contiguous(pfn, count - index);
      let run = 1;
      while (run < limit && this.#pfns[index + run] === pfn + run) run++;
      const bytes = this.#bytes.subarray(index * PAGE_SIZE, (index + run) * PAGE_SIZE);
      if (gfn < 0) outside.page(pfn).set(bytes);
      else place(gfn, bytes, sink);
      for (let done = 0; done < run; done++) each(pfn + done);
      index += run;
    }
  }
}

/** Places consecutive pages. */
export function place(gfn: number, bytes: Uint8Array, sink: PageSink): void {
  for (let done = 0; done < bytes.length;) {
    const view = sink.place(gfn + done / PAGE_SIZE, (bytes.length - done) / PAGE_SIZE);
    view.set(bytes.subarray(done, done + view.length));
    done += view.length;
  }
}
