import { setImmediate as breathe } from 'node:timers/promises';
import {
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type MemoryRegion,
  type PageSink,
} from '@fitdoc/interface';
import { scanRuns, type DirtyBitmap } from '@fitdoc/bitmap';
import type { PfnSpace } from '../../memory/pfn-space.js';
import { PAGE_TYPE } from '../../stream/layout.js';
import type { StreamState } from '../../stream/stream-state.js';
import type { DomainControl, MappedPages } from '../xen/control.js';
import { HeldPages, pagesBeyondHeld, place } from './held-pages.js';

/** Pages mapped at a time: 4 MiB. */
const PORTION = 1024;

/** Copies a domain's pages into a sink. */
export class PageCopier {
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
  readonly #runs = new Uint32Array(2 * PORTION);
  #count = 0;
  readonly #held = new HeldPages();
  /** Mappings that a copy has left: to end them may wait until the guest runs. */
  #left: MappedPages[] = [];
  /** Milliseconds that Xen took to map the pages of the last `copySuspended`. */
  mapMs = 0;
  /** Pages that it copied. */
  suspendedPages = 0;

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
        this.#put(this.#count++, pfn + done);
        if (this.#count < PORTION) continue;
        await this.#portionOfRunning(sink, signal);
        copied += PORTION;
        onProgress?.({ phase: 'reading pages', done: copied, unit: 'pages' });
      }
    }
    await this.#portionOfRunning(sink, signal);
  }

  /** Copies the pages of a bitmap over pfns while the domain runs, and clears it when all are in the sink. */
  async copyRunning(bitmap: DirtyBitmap, sink: PageSink, signal: AbortSignal): Promise<void> {
    for (const pfn of bitmap.gfns()) {
      this.#put(this.#count++, pfn);
      if (this.#count === PORTION) await this.#portionOfRunning(sink, signal);
    }
    await this.#portionOfRunning(sink, signal);
    bitmap.clearAll();
  }

  /** Pages that a pause with about so many dirty pages puts into the sink while the guest stands. */
  intoSink(dirtyPages: number): number {
    return pagesBeyondHeld(dirtyPages, PORTION);
  }

  /** Makes ready for a pause with about so many dirty pages. */
  prepare(pages: number): void {
    this.#held.prepare(pages);
  }

  /**
   * Copies the pages of a bitmap over pfns in a pause: they must be read while nobody writes to them. The rest is
   * left to `deliver`, and whatever happens to `settle`.
   */
  copySuspended(bitmap: DirtyBitmap, sink: PageSink): void {
    this.mapMs = 0;
    this.suspendedPages = 0;
    for (let from = 0; from < bitmap.pages;) {
      const { written, next } = scanRuns(bitmap, this.#runs, from);
      from = next;
      for (let index = 0; index < written; index++) {
        const start = this.#runs[2 * index]!;
        const end = start + this.#runs[2 * index + 1]!;
        for (let pfn = start; pfn < end; pfn++) {
          this.#put(this.#count++, pfn);
          if (this.#count === PORTION) this.#flush(sink, true);
        }
      }
    }
    this.#flush(sink, true);
  }

  /** Places what `copySuspended` holds, and clears its bitmap: all of its pages are in the sink. */
  deliver(bitmap: DirtyBitmap, sink: PageSink): void {
    const { types, outside } = this.#state;
    this.#held.deliver(this.#space, outside, sink, (pfn) => types.set(pfn, PAGE_TYPE.NORMAL));
    bitmap.clearAll();
  }

  /** Ends what a copy leaves, whether it succeeded or not. */
  settle(): void {
    this.#count = 0;
    for (const mapped of this.#left.splice(0)) this.#control.unmap(mapped);
  }

  #put(index: number, pfn: number): void {
    this.#halves[2 * index] = pfn;
    this.#halves[2 * index + 1] = 0;
    this.#numbers[index] = pfn;
  }

  async #portionOfRunning(sink: PageSink, signal: AbortSignal): Promise<void> {
    try {
      this.#flush(sink, false);
    } finally {
      this.settle();
    }
    await breathe();
    throwIfAborted(signal);
  }

  #flush(sink: PageSink, hold: boolean): void {
    const count = this.#count;
    this.#count = 0;
    if (count === 0) return;
    const errors = this.#errors.subarray(0, count);
    if (hold) this.suspendedPages += count;
    const start = performance.now();
    const mapped = this.#control.map(this.#pfns.subarray(0, count), errors);
    this.#left.push(mapped);
    this.mapMs += performance.now() - start;
    // Pages that are not there must not be read.
    const whole = hold && errors.every((error) => error === 0);
    if (whole && this.#held.hold(this.#numbers.subarray(0, count), mapped.bytes)) return;
    for (let index = 0; index < count;) index += this.#placeRun(index, count, mapped.bytes, sink);
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
    const pages = bytes.subarray(index * PAGE_SIZE, (index + run) * PAGE_SIZE);
    if (gfn < 0) this.#state.outside.page(pfn).set(pages);
    else place(gfn, pages, sink);
    return run;
  }
}
