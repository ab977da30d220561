import { PAGE_SIZE, type LentArea, type PageSink } from '@fitdoc/interface';
import type { Batch } from './messages.js';

interface Landing {
  readonly area: LentArea;
  readonly gfns: Uint32Array;
  count: number;
}

export interface LandingCalls {
  /** Waits for the next loan. */
  borrow(): readonly LentArea[];
  /** What came into the loan, which is over. */
  give(batch: Batch): void;
}

/**
 * A sink in borrowed memory: pages go into the free slots of loans, and only their numbers go to the thread that
 * lent them. Within a batch zero pages count as earlier than others: a page that becomes zero after it was placed
 * begins a new batch.
 */
export class LandingSink implements PageSink {
  private landings: Landing[] | undefined;
  private current: Landing | undefined;
  private readonly placed = new Set<number>();
  private readonly zeros: number[] = [];

  constructor(private readonly calls: LandingCalls) {}

  reserve(): boolean {
    return false;
  }

  place(gfn: number): Uint8Array {
    const landing = this.landingFor(gfn);
    const at = landing.count * PAGE_SIZE;
    landing.gfns[landing.count++] = gfn;
    this.placed.add(gfn);
    return landing.area.bytes.subarray(at, at + PAGE_SIZE);
  }

  zero(gfn: number, count: number): void {
    if (this.wasPlaced(gfn, count)) this.flush();
    this.landings ??= this.borrow();
    this.zeros.push(gfn, count);
    if (this.zeros.length >= 1 << 16) this.flush();
  }

  /** Gives back what is borrowed. */
  flush(): void {
    if (this.landings === undefined) return;
    const gfns = this.landings.map(({ gfns: all, count }) => all.slice(0, count));
    this.calls.give({ type: 'batch', zeros: Uint32Array.from(this.zeros), gfns });
    this.landings = undefined;
    this.current = undefined;
    this.placed.clear();
    this.zeros.length = 0;
  }

  private landingFor(gfn: number): Landing {
    this.landings ??= this.borrow();
    const { current } = this;
    const landing = current !== undefined && holds(current, gfn) ? current : this.find(gfn);
    this.current = landing;
    if (landing.count < landing.gfns.length) return landing;
    this.flush();
    return this.landingFor(gfn);
  }

  private find(gfn: number): Landing {
    const found = this.landings!.find((landing) => holds(landing, gfn));
    if (found === undefined) throw new RangeError(`no memory was lent for page ${gfn}`);
    return found;
  }

  private borrow(): Landing[] {
    return this.calls.borrow().map((area) => ({
      area,
      gfns: new Uint32Array(area.bytes.length / PAGE_SIZE),
      count: 0,
    }));
  }

  private wasPlaced(gfn: number, count: number): boolean {
    if (this.placed.size < count) {
      for (const page of this.placed) if (page >= gfn && page < gfn + count) return true;
      return false;
    }
    for (let page = gfn; page < gfn + count; page++) if (this.placed.has(page)) return true;
    return false;
  }
}

function holds({ area }: Landing, gfn: number): boolean {
  return gfn >= area.firstGfn && gfn < area.firstGfn + area.gfnCount;
}
