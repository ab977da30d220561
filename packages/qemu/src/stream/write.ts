import {
  FitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type MemoryRegion,
  type RestoreSource,
} from '@fitdoc/interface';
import { CONFIGURATION_STATE, DEVICES_STATE } from '../machine/state-names.js';
import {
  RAM_CONTINUE,
  RAM_EOS,
  RAM_MEM_SIZE,
  RAM_PAGE,
  RAM_VERSION,
  RAM_ZERO,
  SECTION_END,
  SECTION_FOOTER,
  SECTION_START,
  SECTION_VMDESC,
  STREAM_MAGIC,
  STREAM_VERSION,
} from './layout.js';
import { StreamBuffer } from './stream-buffer.js';

const RAM_SECTION = 2;
const CHUNK = 1 << 20;
/** QEMU skips the description; tools that read it find no devices. */
const NO_DESCRIPTION = '{"devices":[]}';

export interface QemuStreamOptions extends CallOptions {
  /** Leave out the pages of this region: the target has them already. */
  readonly without?: string;
  /** Send the zero pages of main memory, too: the target's may hold something there. Default false. */
  readonly everyPage?: boolean;
}

/**
 * Writes a checkpoint as the stream of an ordinary migration, which QEMU loads with `-incoming`. Chunks of
 * about 1 MiB; each is the consumer's own. Zero pages of main memory are left out, as a target starts with
 * zeros there; every page of any other region is sent. Errors: RESTORE_FAILED (the checkpoint is not one of
 * a QEMU machine), and those of the source.
 */
export async function* qemuStream(
  source: RestoreSource,
  options: QemuStreamOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const { regions } = source.info;
  const devices = part(source, DEVICES_STATE);
  const out = new StreamBuffer();
  out.uint32(STREAM_MAGIC);
  out.uint32(STREAM_VERSION);
  out.bytes(part(source, CONFIGURATION_STATE));
  writeRamStart(out, regions);
  out.byte(SECTION_END);
  out.uint32(RAM_SECTION);
  yield* writePages(out, source, options);
  out.uint64(RAM_EOS);
  writeFooter(out);
  out.bytes(devices);
  out.byte(SECTION_VMDESC);
  out.uint32(NO_DESCRIPTION.length);
  out.text(NO_DESCRIPTION);
  yield out.take();
}

/** Writes `qemuStream` into anything that takes chunks one after the other; gives the number of bytes. */
export async function writeQemuStream(
  source: RestoreSource,
  sink: (chunk: Uint8Array) => Promise<void> | void,
  options: QemuStreamOptions = {},
): Promise<number> {
  let bytes = 0;
  for await (const chunk of qemuStream(source, options)) {
    throwIfAborted(options.signal);
    await sink(chunk);
    bytes += chunk.length;
  }
  return bytes;
}

/** A named part of the device state. RESTORE_FAILED where the checkpoint is none of a QEMU machine. */
export function part({ deviceState, info }: RestoreSource, name: string): Uint8Array {
  const found = deviceState.find((state) => state.name === name);
  if (found !== undefined) return found.bytes;
  throw new FitdocError(
    'RESTORE_FAILED',
    `The checkpoint (${info.hypervisor}) has no device state "${name}" of QEMU's.`,
    {
      hint: 'Only a checkpoint of a QEMU guest can become a QEMU machine.',
    },
  );
}

function writeRamStart(out: StreamBuffer, regions: readonly MemoryRegion[]): void {
  const total = regions.reduce((sum, { pages }) => sum + pages * PAGE_SIZE, 0);
  out.byte(SECTION_START);
  out.uint32(RAM_SECTION);
  out.named('ram');
  out.uint32(0);
  out.uint32(RAM_VERSION);
  out.uint64(total + RAM_MEM_SIZE);
  for (const { name, pages } of regions) {
    out.named(name);
    out.uint64(pages * PAGE_SIZE);
  }
  out.uint64(RAM_EOS);
  writeFooter(out);
}

function writeFooter(out: StreamBuffer): void {
  out.byte(SECTION_FOOTER);
  out.uint32(RAM_SECTION);
}

async function* writePages(
  out: StreamBuffer,
  source: RestoreSource,
  options: QemuStreamOptions,
): AsyncGenerator<Uint8Array, void> {
  const { regions, platform } = source.info;
  const wanted = regions.filter(({ name }) => name !== options.without);
  const { signal, onProgress } = options;
  const total = wanted.reduce((sum, { pages }) => sum + pages, 0);
  const empty = options.everyPage === true ? undefined : platform['mainRam'];
  const writer = new PageWriter(out, wanted, empty);
  let pages = 0;
  const names = wanted.map(({ name }) => name);
  for await (const extent of source.pages({ ...(signal === undefined ? {} : { signal }), regions: names })) {
    for (let offset = 0; offset < extent.bytes.length; offset += PAGE_SIZE) {
      writer.page(extent.gfn + offset / PAGE_SIZE, extent.bytes.subarray(offset, offset + PAGE_SIZE));
      if (out.length >= CHUNK) yield out.take();
    }
    pages += extent.bytes.length / PAGE_SIZE;
    onProgress?.({ phase: 'writing pages', done: pages, total, unit: 'pages' });
  }
  writer.finish();
  if (out.length >= CHUNK) yield out.take();
}

/** Writes page records in ascending order, and zero records for what lies between, but in the region that is empty. */
class PageWriter {
  private index = 0;
  private next: number;
  private named = false;

  constructor(
    private readonly out: StreamBuffer,
    private readonly regions: readonly MemoryRegion[],
    private readonly empty: unknown,
  ) {
    this.next = regions[0]?.firstGfn ?? 0;
  }

  page(gfn: number, bytes: Uint8Array): void {
    this.skipTo(gfn);
    this.record(gfn, RAM_PAGE);
    this.out.bytes(bytes);
    this.next = gfn + 1;
  }

  finish(): void {
    this.skipTo(Infinity);
  }

  private skipTo(gfn: number): void {
    for (;;) {
      const region = this.regions[this.index];
      if (region === undefined) return;
      const end = region.firstGfn + region.pages;
      if (region.name !== this.empty) this.zeros(this.next, Math.min(gfn, end));
      if (gfn < end) return;
      this.index++;
      this.named = false;
      this.next = this.regions[this.index]?.firstGfn ?? 0;
    }
  }

  private zeros(from: number, to: number): void {
    for (let gfn = from; gfn < to; gfn++) {
      this.record(gfn, RAM_ZERO);
      this.out.byte(0);
    }
  }

  private record(gfn: number, kind: number): void {
    const region = this.regions[this.index]!;
    const offset = (gfn - region.firstGfn) * PAGE_SIZE;
    this.out.uint64(offset + kind + (this.named ? RAM_CONTINUE : 0));
    if (!this.named) this.out.named(region.name);
    this.named = true;
  }
}
