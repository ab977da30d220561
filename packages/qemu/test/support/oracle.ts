import {
  FitdocError,
  PAGE_SIZE,
  totalPages,
  type DeviceState,
  type MachineInfo,
  type PageExtent,
  type PageSink,
  type RestoreSource,
} from '@fitdoc/interface';

/** A whole machine's memory in one plain buffer: the simplest thing that a capture can fill. */
export class OracleMemory implements PageSink {
  readonly bytes: Uint8Array;
  placed = 0;
  zeroed = 0;
  private readonly pages: number;

  constructor(info: MachineInfo) {
    this.pages = totalPages(info.regions);
    this.bytes = new Uint8Array(this.pages * PAGE_SIZE);
  }

  reserve(): boolean {
    return true;
  }

  place(gfn: number, count: number): Uint8Array {
    this.check(gfn, count);
    this.placed += count;
    return this.bytes.subarray(gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
  }

  zero(gfn: number, count: number): void {
    this.check(gfn, count);
    this.zeroed += count;
    this.bytes.fill(0, gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
  }

  /** Copies what differs from zero, as a checkpoint would hold it. */
  keep(info: MachineInfo, deviceState: readonly DeviceState[]): KeptCheckpoint {
    const kept: PageExtent[] = [];
    for (let gfn = 0; gfn < this.pages; gfn++) {
      const page = this.bytes.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE);
      if (!Buffer.from(page.buffer, page.byteOffset, PAGE_SIZE).equals(ZERO_PAGE))
        kept.push({ gfn, bytes: page.slice() });
    }
    return new KeptCheckpoint(info, deviceState, kept);
  }

  private check(gfn: number, count: number): void {
    if (gfn < 0 || gfn + count > this.pages)
      throw new FitdocError('ARGUMENT_INVALID', `no page ${gfn} + ${count}`);
  }
}

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);

export class KeptCheckpoint implements RestoreSource {
  constructor(
    readonly info: MachineInfo,
    readonly deviceState: readonly DeviceState[],
    readonly kept: readonly PageExtent[],
  ) {}

  async *pages({ regions }: { regions?: readonly string[] } = {}): AsyncIterable<PageExtent> {
    const wanted = this.info.regions.filter(({ name }) => regions === undefined || regions.includes(name));
    for (const extent of this.kept)
      if (wanted.some(({ firstGfn, pages }) => extent.gfn >= firstGfn && extent.gfn < firstGfn + pages))
        yield extent;
  }

  /** The same memory and devices under another description, for tests of what a restore refuses. */
  as(info: MachineInfo): KeptCheckpoint {
    return new KeptCheckpoint(info, this.deviceState, this.kept);
  }
}
