import {
  PAGE_SIZE,
  type MachineInfo,
  type PageSink,
  type RestoreSource,
  totalPages,
} from '@fitdoc/interface';
import type { XenStreamContent } from '../src/index.js';
import { encodeImageHeader, encodeLibxlHeader, encodeXlHeader } from '../src/stream/headers.js';
import { LIBXC, LIBXL } from '../src/stream/layout.js';
import { encodePageHead, encodeRecord } from '../src/stream/writer.js';

/** A guest's memory in one plain buffer: the oracle of these tests. */
export class PlainMemory implements PageSink {
  readonly bytes: Uint8Array;
  placed = 0;
  constructor(pages: number) {
    this.bytes = new Uint8Array(pages * PAGE_SIZE);
  }
  reserve(): boolean {
    return false;
  }
  place(gfn: number, count: number): Uint8Array {
    if ((gfn + count) * PAGE_SIZE > this.bytes.length) throw new RangeError(`page ${gfn}`);
    this.placed += count;
    return this.bytes.subarray(gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
  }
  zero(gfn: number, count: number): void {
    this.bytes.fill(0, gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
  }
}

export function config(
  type: 'pv' | 'pvh' | 'hvm',
  maxMemoryKiB: number,
  targetKiB = maxMemoryKiB,
  videoKiB = 0,
): string {
  return JSON.stringify({
    c_info: { type, name: 'guest', uuid: '35a235ae-5a5d-4f45-b2f9-2d50921d2c4d' },
    b_info: { max_memkb: maxMemoryKiB, target_memkb: targetKiB, video_memkb: videoKiB, max_vcpus: 1 },
  });
}

export interface Page {
  readonly pfn: number;
  readonly type: number;
  readonly bytes?: Uint8Array;
}

export function pageRecord(pages: readonly Page[]): Uint8Array {
  const head = encodePageHead(
    pages.map((page) => page.pfn),
    pages.map((page) => page.type),
  );
  return Buffer.concat([head, ...pages.flatMap((page) => (page.bytes ? [page.bytes] : []))]);
}

export function streamHead(
  type: 'pv' | 'pvh' | 'hvm',
  maxMemoryKiB: number,
  targetKiB?: number,
  videoKiB?: number,
): Uint8Array {
  const text = config(type, maxMemoryKiB, targetKiB, videoKiB);
  return Buffer.concat([
    encodeXlHeader({ mandatoryFlags: 3, optionalFlags: 0, config: text }),
    encodeLibxlHeader(),
    encodeRecord(LIBXL.LIBXC_CONTEXT),
    encodeImageHeader({ guestType: type === 'pv' ? 1 : 2, xenMajor: 4, xenMinor: 17 }),
    encodeRecord(LIBXC.X86_CPUID_POLICY, new Uint8Array(24).fill(7)),
    encodeRecord(LIBXC.STATIC_DATA_END),
  ]);
}

/** The records that end a checkpoint; the context's length makes padding necessary. */
export function checkpointTail(mark: number, last: boolean): Uint8Array {
  return Buffer.concat([
    encodeRecord(LIBXC.X86_TSC_INFO, new Uint8Array(24).fill(mark)),
    encodeRecord(LIBXC.HVM_CONTEXT, new Uint8Array(13).fill(mark)),
    encodeRecord(last ? LIBXC.END : LIBXC.CHECKPOINT),
    encodeRecord(last ? LIBXL.END : LIBXL.CHECKPOINT_END),
  ]);
}

export async function* chunked(bytes: Uint8Array, size: () => number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length;) {
    const length = Math.max(1, size());
    yield bytes.subarray(offset, offset + length);
    offset += length;
  }
}

/** What was read from a stream, as a restore gets it. */
export function sourceOf(content: XenStreamContent, memory: PlainMemory): RestoreSource {
  const info: MachineInfo = {
    id: content.config.uuid,
    name: content.config.name,
    hypervisor: 'xen 4.17',
    scheme: 'xen',
    architecture: 'x86_64',
    regions: content.regions,
    platform: {},
    disks: [],
  };
  return {
    info,
    deviceState: content.deviceState,
    async *pages() {
      const zero = Buffer.alloc(PAGE_SIZE);
      const total = totalPages(content.regions);
      for (let gfn = 0; gfn < total;) {
        let end = gfn;
        const page = (index: number) => memory.bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
        while (end < total && end - gfn < 700 && Buffer.compare(page(end), zero) !== 0) end++;
        if (end > gfn) yield { gfn, bytes: memory.bytes.subarray(gfn * PAGE_SIZE, end * PAGE_SIZE) };
        gfn = Math.max(end, gfn + 1);
      }
    },
  };
}
