import { FitdocError, PAGE_SIZE, type PageSink } from '@fitdoc/interface';
import type { PfnSpace } from '../memory/pfn-space.js';
import type { ImageHeader, XlHeader } from './headers.js';
import { hasData, PAGE_TYPE } from './layout.js';
import type { XenStreamHandler } from './parser.js';
import { StreamState } from './stream-state.js';

/** Pages that came while no capture was there to take them. */
class HeldPages {
  readonly #pages = new Map<number, Uint8Array | undefined>();
  constructor(private readonly limit: number) {}

  get size(): number {
    return this.#pages.size;
  }

  place(gfn: number): Uint8Array {
    if (this.#pages.size >= this.limit) {
      throw new FitdocError('MEMORY_BUDGET', `More than ${this.limit} pages came between two captures.`, {
        hint: 'The next capture takes all of the memory again; capture more often, or raise config.holdPages.',
      });
    }
    const page = new Uint8Array(PAGE_SIZE);
    this.#pages.set(gfn, page);
    return page;
  }

  zero(gfn: number): void {
    this.#pages.set(gfn, undefined);
  }

  flush(sink: PageSink): void {
    for (const [gfn, page] of this.#pages) {
      if (page) sink.place(gfn, 1).set(page);
      else sink.zero(gfn, 1);
    }
    this.#pages.clear();
  }
}

export interface CollectorOptions {
  /** Most pages kept while no capture is under way. Default 65,536 (256 MiB). */
  readonly holdPages?: number;
  /** The pfns go back to the start: a new pass over the memory. */
  onPass?(): void;
  onCheckpoint(): void;
  onEnd(): void;
}

/**
 * Takes a stream apart: pages into the sink of the capture under way (or held until one comes), everything
 * else into a `StreamState`.
 */
export class StreamCollector implements XenStreamHandler {
  readonly state = new StreamState();
  /** Pages placed for the capture under way. */
  placedPages = 0;
  readonly #space: PfnSpace;
  readonly #held: HeldPages;
  readonly #options: CollectorOptions;
  #sink: PageSink | undefined;
  #waiting: PageSink | undefined;
  #lastPfn = -1;

  constructor(space: PfnSpace, options: CollectorOptions) {
    this.#space = space;
    this.#options = options;
    this.#held = new HeldPages(options.holdPages ?? 65536);
  }

  /** From the next page record on, pages go to `sink`, after those that were held. */
  attach(sink: PageSink): void {
    this.#waiting = sink;
    this.placedPages = 0;
  }

  /** Further pages are held. Requires that the parser stands at a checkpoint's end, or is given up. */
  release(): void {
    this.#sink = undefined;
    this.#waiting = undefined;
  }

  xlHeader(header: XlHeader): void {
    this.state.xl = header;
  }

  imageHeader(image: ImageHeader): void {
    this.state.image = image;
  }

  record(layer: 'libxl' | 'libxc', type: number, body: Uint8Array): void {
    this.state.record(layer, type, body);
  }

  pages(pfns: Uint32Array, types: Uint8Array): void {
    this.#takeOver();
    if (pfns[0]! <= this.#lastPfn) this.#options.onPass?.();
    this.#lastPfn = pfns.at(-1)!;
    const { types: known, outside } = this.state;
    for (let index = 0; index < pfns.length; index++) {
      const pfn = pfns[index]!;
      const type = types[index]!;
      const before = known.get(pfn);
      if (before === type && !hasData(type)) continue;
      known.set(pfn, type);
      if (hasData(type) || before === PAGE_TYPE.ABSENT) continue;
      // The domain gave the page back: what the image still holds of it must go.
      const gfn = this.#space.gfnOf(pfn);
      if (gfn < 0) outside.delete(pfn);
      else if (this.#sink) this.#sink.zero(gfn, 1);
      else this.#held.zero(gfn);
    }
  }

  place(pfn: number, count: number): Uint8Array {
    const gfn = this.#space.gfnOf(pfn);
    if (gfn < 0) return this.state.outside.page(pfn);
    if (!this.#sink) return this.#held.place(gfn);
    const view = this.#sink.place(gfn, this.#space.contiguous(pfn, count));
    this.placedPages += view.length / PAGE_SIZE;
    return view;
  }

  checkpoint(): void {
    this.#takeOver();
    this.#lastPfn = -1;
    this.state.complete();
    this.#options.onCheckpoint();
  }

  end(): void {
    this.#takeOver();
    this.#lastPfn = -1;
    this.state.complete();
    this.#options.onEnd();
  }

  // Held pages go first, and only between two page records: then none of them is half filled.
  #takeOver(): void {
    if (!this.#waiting) return;
    this.placedPages += this.#held.size;
    this.#held.flush(this.#waiting);
    this.#sink = this.#waiting;
    this.#waiting = undefined;
  }
}
