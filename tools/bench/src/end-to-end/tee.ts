import { rm } from 'node:fs/promises';
import { PAGE_SIZE, type CaptureOptions, type Harvest, type Machine, type PageSink } from '@fitdoc/interface';
import { writeSynced } from './durable.js';

/** What a page-granular checkpointer does with one capture: write every dirty page as it is. */
export interface PlainIncrement {
  readonly captureMs: number;
  /** Milliseconds to write and sync the pages. */
  readonly writeMs: number;
  readonly bytes: number;
}

const ZEROS = new Uint8Array(256 * PAGE_SIZE);

/**
 * A machine whose incremental captures are also stored the page-granular way: the same pages of the same
 * pause, plain, in a file that is synced. That is done when the guest runs again, before the engine gets the
 * capture, so the engine's own times do not contain it.
 */
export class TeeMachine implements Machine {
  last: PlainIncrement | undefined;

  constructor(
    private readonly machine: Machine,
    /** A file that is written and removed at each capture. */
    private readonly file: string,
  ) {}

  get info() {
    return this.machine.info;
  }

  get supports() {
    return this.machine.supports;
  }

  get gone() {
    return this.machine.gone;
  }

  async capture(sink: PageSink, options?: CaptureOptions): Promise<Harvest> {
    const pages = new Map<number, Uint8Array>();
    const start = performance.now();
    const harvest = await this.machine.capture(watching(sink, pages), options);
    const captureMs = performance.now() - start;
    this.last = undefined;
    if (harvest.kind === 'full') return harvest;
    const write = performance.now();
    const bytes = await writeSynced(this.file, [...pages.values()]);
    this.last = { captureMs, writeMs: performance.now() - write, bytes };
    await rm(this.file);
    return harvest;
  }

  detach(): Promise<void> {
    return this.machine.detach();
  }
}

/** A sink that notes the pages that reach another, each once. */
function watching(sink: PageSink, pages: Map<number, Uint8Array>): PageSink {
  return {
    reserve: (count) => sink.reserve(count),
    place(gfn, count) {
      const lent = sink.place(gfn, count);
      for (let page = 0; page < lent.length / PAGE_SIZE; page++)
        pages.set(gfn + page, lent.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE));
      return lent;
    },
    zero(gfn, count) {
      sink.zero(gfn, count);
      for (let page = 0; page < count; page++) pages.set(gfn + page, ZEROS.subarray(0, PAGE_SIZE));
    },
  };
}
