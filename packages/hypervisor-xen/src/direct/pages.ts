import { setImmediate as breathe } from 'node:timers/promises';
import {
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type MemoryRegion,
  type PageSink,
} from '@fitdoc/interface';
import { scanRuns, type DirtyBitmap } from '@fitdoc/bitmap';
import type { PfnSpace } from '../memory/pfn-space.js';
import { PAGE_TYPE } from '../stream/layout.js';
import type { StreamState } from '../stream/stream-state.js';
import type { DomainControl } from './control.js';

/** Pages mapped at a time: 4 MiB. */
const PORTION = 1024;

/** Copies a domain's pages into a sink. */
export class PageCopier {
  placed = 0;
  /** Pages that the domain had at the last survey. */
  #surveyed = -1;
  readonly #control: DomainControl;
  readonly #space: PfnSpace;
  readonly #state: StreamState;
  readonly #pfns = new BigUint64Array(PORTION);
  // The same pfns as pairs of 32-bit halves: a million BigInts would cost more than the hypercalls.
  readonly #halves = new Uint32Array(this.#pfns.buffer);
  readonly #numbers = new Uint32Array(PORTION);
  readonly #errors = new Int32Array(PORTION);
  #count = 0;

  constructor(control: DomainControl, space: PfnSpace, state: StreamState) {
    this.#control = control;
    this.#space = space;
    this.#state = state;
  }

  /**
   * Learns which pfns below `total` the domain has, if their number is another than at the last survey: Xen's
   * dirty log tells of pages that a balloon takes back, and not of those that it gave away. Looks first where
   * the domain should have its pages, and everywhere only when that does not account for all of them.
   */
  async survey(
    total: number,
    regions: readonly MemoryRegion[],
    sink: PageSink,
    signal: AbortSignal,
  ): Promise<void> {
    const { pages } = this.#control.flags();
    if (pages === this.#surveyed) return;
    let found = 0;
    for (const region of regions) {
      const first = Number(region.gpa! / BigInt(PAGE_SIZE));
      found += await this.#look(first, Math.min(total, first + region.pages), sink, signal);
    }
    if (found < this.#control.flags().pages) await this.#look(0, total, sink, signal);
    this.#surveyed = pages;
  }

  async #look(first: number, end: number, sink: PageSink, signal: AbortSignal): Promise<number> {
    let found = 0;
    for (let start = first; start < end; start += PORTION) {
      if ((start - first) % (64 * PORTION) === 0) await breathe();
      throwIfAborted(signal);
      const pfns = this.#pfns.subarray(0, Math.min(PORTION, end - start));
      for (let index = 0; index < pfns.length; index++) this.#put(index, start + index);
      this.#control.pageTypes(pfns);
      for (let index = 0; index < pfns.length; index++) {
        const type = this.#halves[2 * index]! >>> 28;
        if (type === PAGE_TYPE.ABSENT) this.#forget(start + index, sink);
        else {
          this.#state.types.set(start + index, type);
          found++;
        }
      }
    }
    return found;
  }

  /** The domain no longer has this page: nothing of it may stay in the image. */
  #forget(pfn: number, sink: PageSink): void {
    if (this.#state.types.get(pfn) === PAGE_TYPE.ABSENT) return;
    const gfn = this.#space.gfnOf(pfn);
    if (gfn >= 0) sink.zero(gfn, 1);
    else this.#state.outside.delete(pfn);
    // Last: a sink that fails here is to be told again by the next capture.
    this.#state.types.set(pfn, PAGE_TYPE.ABSENT);
  }

  /** Copies every page that the domain has, while it runs. */
  async copyAll(sink: PageSink, signal: AbortSignal, onProgress?: CallOptions['onProgress']): Promise<void> {
    let copied = 0;
    for (const { pfn, count } of this.#state.types.runs()) {
      for (let done = 0; done < count; done++) {
        this.#add(pfn + done, sink);
        if (this.#count > 0) continue;
        copied += PORTION;
        onProgress?.({ phase: 'reading pages', done: copied, unit: 'pages' });
        await breathe();
        throwIfAborted(signal);
      }
    }
    this.#flush(sink);
  }

  /** Copies the pages of a bitmap over pfns, clearing each bit once its page is in the sink. */
  copyDirty(bitmap: DirtyBitmap, sink: PageSink): void {
    const runs = new Uint32Array(4096);
    for (let from = 0; from < bitmap.pages;) {
      const { written, next } = scanRuns(bitmap, runs, from);
      from = next;
      for (let index = 0; index < written; index++) {
        const start = runs[2 * index]!;
        for (let pfn = start; pfn < start + runs[2 * index + 1]!; pfn++) this.#add(pfn, sink);
      }
    }
    this.#flush(sink);
    bitmap.clearAll();
  }

  #put(index: number, pfn: number): void {
    this.#halves[2 * index] = pfn;
    this.#halves[2 * index + 1] = 0;
  }

  #add(pfn: number, sink: PageSink): void {
    this.#put(this.#count, pfn);
    this.#numbers[this.#count++] = pfn;
    if (this.#count === PORTION) this.#flush(sink);
  }

  #flush(sink: PageSink): void {
    const count = this.#count;
    this.#count = 0;
    if (count === 0) return;
    this.#control.withPages(this.#pfns.subarray(0, count), this.#errors.subarray(0, count), (bytes) => {
      for (let index = 0; index < count;) index += this.#placeRun(index, count, bytes, sink);
    });
  }

  /** Places the run of consecutive, present pages at `index`; gives its length. */
  #placeRun(index: number, count: number, bytes: Uint8Array, sink: PageSink): number {
    const pfn = this.#numbers[index]!;
    const gfn = this.#space.gfnOf(pfn);
    if (this.#errors[index] !== 0) {
      this.#forget(pfn, sink);
      return 1;
    }
    const limit = gfn < 0 ? 1 : this.#space.contiguous(pfn, count - index);
    let run = 1;
    while (run < limit && this.#numbers[index + run] === pfn + run && this.#errors[index + run] === 0) run++;
    for (let each = 0; each < run; each++) this.#state.types.set(pfn + each, PAGE_TYPE.NORMAL);
    if (gfn < 0) {
      this.#state.outside.page(pfn).set(bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE));
      return 1;
    }
    for (let done = 0; done < run;) {
      const view = sink.place(gfn + done, run - done);
      view.set(bytes.subarray((index + done) * PAGE_SIZE, (index + done) * PAGE_SIZE + view.length));
      done += view.length / PAGE_SIZE;
    }
    this.placed += run;
    return run;
  }
}
