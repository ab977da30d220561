import { noRoomForPause, PAGE_SIZE, type LentArea, type PageSink } from '@fitdoc/interface';
import type { Batch } from './messages.js';

/** Where a job's pages go. */
export interface Destination {
  readonly sink: PageSink;
  readonly totalPages: number;
  /** Called as pages come, with how many did so far. */
  readonly onPages?: (done: number) => void;
  /** Whether the guest runs: what came so far may then be compared before more comes. Default: it does not. */
  readonly running?: () => boolean;
}

/** Pages of a loan in the sink's own memory: it costs none before it is filled. */
const LENT_PAGES = 8192;
/** Pages of a loan in memory that has to be copied out of. */
const COPIED_PAGES = 512;
/** Most pages that there is always room for while the guest runs: it may stop at any moment, and they come then. */
const MOST_ROOM_PAGES = 32_768;
/** With room for fewer no capture goes on. */
const LEAST_ROOM_PAGES = 256;

/**
 * The borrowing side of a sink, for one capture: loans to give the reader, and what came into them. A sink that
 * cannot lend gets its pages copied out of memory that is the capture's.
 */
export class Loans {
  /** Pages that have come so far, zero or not. */
  private pages = 0;
  private readonly open: (readonly LentArea[])[] = [];
  private readonly spare: LentArea[] = [];
  private readonly sink: PageSink;
  private readonly lends: boolean;
  private room: number;

  constructor(private readonly to: Destination) {
    this.sink = to.sink;
    this.lends = this.sink.lend !== undefined && this.sink.landed !== undefined;
    this.room = Math.min(MOST_ROOM_PAGES, Math.ceil(to.totalPages / 2));
  }

  /** Loans that have not come back. */
  get outstanding(): number {
    return this.open.length;
  }

  /** Whether `makeRoom` is due, before a further loan. */
  get crowded(): boolean {
    const { running } = this.to;
    if (running === undefined || this.sink.prepare === undefined || !running()) return false;
    return !this.sink.reserve(this.room);
  }

  /**
   * Has what came so far compared, and room made for what comes when the guest stops. Requires that no loan is
   * outstanding. Errors: MEMORY_BUDGET, those of the sink.
   */
  async makeRoom(): Promise<void> {
    // As much again, so that not every loan has to wait for this.
    while (!(await this.sink.prepare!(2 * this.room))) {
      this.room = Math.floor(this.room / 2);
      if (this.room < Math.min(LEAST_ROOM_PAGES, this.to.totalPages / 4)) throw noRoomForPause(2 * this.room);
    }
  }

  /** A further loan. The reader uses loans, and gives them back, in the order in which they were made. */
  next(): readonly LentArea[] {
    const areas = this.lends ? this.sink.lend!(LENT_PAGES) : [this.spare.pop() ?? this.own()];
    this.open.push(areas);
    return areas;
  }

  /** Hands what came into the oldest loan to the sink. Rejects what the sink throws. */
  take({ zeros, gfns }: Batch): void {
    const areas = this.open.shift() ?? [];
    for (let i = 0; i < zeros.length; i += 2) {
      this.sink.zero(zeros[i]!, zeros[i + 1]!);
      this.pages += zeros[i + 1]!;
    }
    areas.forEach((area, index) => this.land(area, gfns[index]!));
    this.to.onPages?.(this.pages);
  }

  /** Gives back what no page came into. Requires that the reader writes no more. */
  end(): void {
    for (const areas of this.open.splice(0))
      if (this.lends) for (const area of areas) this.sink.landed!(area, new Uint32Array(0));
  }

  private land(area: LentArea, gfns: Uint32Array): void {
    this.pages += gfns.length;
    if (this.lends) {
      this.sink.landed!(area, gfns);
      return;
    }
    gfns.forEach((gfn, slot) => {
      const at = slot * PAGE_SIZE;
      this.sink.place(gfn, 1).set(area.bytes.subarray(at, at + PAGE_SIZE));
    });
    this.spare.push(area);
  }

  private own(): LentArea {
    const bytes = new Uint8Array(new SharedArrayBuffer(COPIED_PAGES * PAGE_SIZE));
    return { firstGfn: 0, gfnCount: this.to.totalPages, bytes };
  }
}
