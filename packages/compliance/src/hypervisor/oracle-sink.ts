import assert from 'node:assert/strict';
import {
  FitdocError,
  PAGE_SIZE,
  totalPages,
  type CaptureOptions,
  type Harvest,
  type Machine,
  type MemoryRegion,
  type PageSink,
  type RestoreSource,
} from '@fitdoc/interface';

export interface OracleSinkOptions {
  /** Most pages that are lent at once. Default: as many as are asked for. */
  readonly lend?: number;
  /** What `reserve` answers. Default true. */
  readonly reserves?: boolean;
}

/** The plainest sink there can be: all of the guest's memory in one array. */
export class OracleSink implements PageSink {
  readonly pages: number;
  readonly memory: Uint8Array;
  /** Pages placed or zeroed since the capture began. */
  placed = 0;
  /** Called before each loan; what it throws, the sink throws. */
  beforePlace: (() => void) | undefined;
  readonly #options: OracleSinkOptions;
  readonly #seen: Uint8Array;

  constructor(regions: readonly MemoryRegion[], options: OracleSinkOptions = {}) {
    this.pages = totalPages(regions);
    this.memory = new Uint8Array(this.pages * PAGE_SIZE);
    this.#seen = new Uint8Array(this.pages);
    this.#options = options;
  }

  reserve(_pages: number): boolean {
    return this.#options.reserves ?? true;
  }

  place(gfn: number, count: number): Uint8Array {
    this.beforePlace?.();
    this.#check(gfn, count);
    const lent = Math.min(count, this.#options.lend ?? count);
    this.#note(gfn, lent);
    return this.memory.subarray(gfn * PAGE_SIZE, (gfn + lent) * PAGE_SIZE);
  }

  zero(gfn: number, count: number): void {
    this.#check(gfn, count);
    this.#note(gfn, count);
    this.memory.fill(0, gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
  }

  /** Captures into this sink; after a full capture, pages that were not placed become zero. */
  async capture(machine: Machine, options?: CaptureOptions): Promise<Harvest> {
    this.placed = 0;
    this.#seen.fill(0);
    const harvest = await machine.capture(this, options);
    if (harvest.kind === 'full') {
      for (let gfn = 0; gfn < this.pages; gfn++) {
        if (this.#seen[gfn] === 0) this.memory.fill(0, gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE);
      }
    }
    return harvest;
  }

  /** Asserts that the sink holds `bytes` from page `gfn` on, and names the first page that differs. */
  expectPages(gfn: number, bytes: Uint8Array): void {
    const mine = this.memory.subarray(gfn * PAGE_SIZE, gfn * PAGE_SIZE + bytes.length);
    if (Buffer.compare(mine, bytes) === 0) return;
    const page = Array.from({ length: bytes.length / PAGE_SIZE }, (_, i) => i).find((i) => {
      const [from, to] = [i * PAGE_SIZE, (i + 1) * PAGE_SIZE];
      return Buffer.compare(mine.subarray(from, to), bytes.subarray(from, to)) !== 0;
    });
    assert.fail(`page ${gfn + (page ?? 0)} was captured with contents that the guest did not have`);
  }

  /** What was captured as a source for a restore; `counted.pages` tells how many pages were handed out. */
  source(
    machine: Machine,
    harvest: Harvest,
  ): RestoreSource & { readonly counted: { pages: number; calls: number } } {
    const counted = { pages: 0, calls: 0 };
    const { memory } = this;
    const { regions } = machine.info;
    return {
      info: machine.info,
      deviceState: harvest.deviceState,
      counted,
      pages: (options = {}) => {
        counted.calls += 1;
        const chosen = regions.filter(({ name }) => options.regions?.includes(name) ?? true);
        return nonZeroPages(memory, chosen, counted);
      },
    };
  }

  #note(gfn: number, count: number): void {
    this.#seen.fill(1, gfn, gfn + count);
    this.placed += count;
  }

  #check(gfn: number, count: number): void {
    const fits = Number.isInteger(gfn) && Number.isInteger(count) && gfn >= 0 && count >= 1;
    if (fits && gfn + count <= this.pages) return;
    throw new FitdocError('ARGUMENT_INVALID', `The machine does not have ${count} pages from ${gfn}.`);
  }
}

async function* nonZeroPages(
  memory: Uint8Array,
  regions: readonly MemoryRegion[],
  counted: { pages: number },
) {
  const zero = new Uint8Array(PAGE_SIZE);
  for (const { firstGfn, pages } of regions) {
    for (let gfn = firstGfn; gfn < firstGfn + pages; gfn++) {
      const bytes = memory.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE);
      if (Buffer.compare(bytes, zero) === 0) continue;
      counted.pages += 1;
      yield { gfn, bytes };
    }
  }
}
