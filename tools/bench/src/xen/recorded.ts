import { createReadStream } from 'node:fs';
import { DirtyBitmap } from '@fitdoc/bitmap';
import { createCodec } from '@fitdoc/codec';
import { diffPages } from '@fitdoc/diff';
import {
  PfnSpace,
  parseGuestConfig,
  regionsFor,
  XenStreamParser,
  type XenStreamHandler,
} from '@fitdoc/hypervisor-xen';
import { MAX_BATCH_PAGES, PAGE_SIZE, totalPages, type PageBatch } from '@fitdoc/interface';

/** An increment as Xen's tools sent it, and as fitdoc stores it. */
export interface RecordedIncrement {
  readonly streamBytes: number;
  readonly pages: number;
  readonly storedBytes: number;
  /** Over all pfns, as Xen's dirty log has it. */
  readonly bitmap: DirtyBitmap;
}

/** Pages of the highest pfn that a PVH guest's dirty log covers in Xen 4.17. */
const LOG_PAGES = 0xff000;

/** The changes between two memories, in batches as fitdoc stores them; brings `image` up to date. */
function* changes(memory: Uint8Array, image: Uint8Array): Generator<PageBatch> {
  const step = MAX_BATCH_PAGES * PAGE_SIZE;
  for (let start = 0; start < memory.length; start += step) {
    const end = Math.min(memory.length, start + step);
    const batch = diffPages(memory.subarray(start, end), image.subarray(start, end));
    const first = start / PAGE_SIZE;
    if (batch.gfns.length > 0) yield { ...batch, gfns: batch.gfns.map((gfn) => gfn + first) };
  }
}

/** Reads a recorded Remus stream and stores each of its increments as fitdoc would. */
export async function readRecording(path: string): Promise<RecordedIncrement[]> {
  const codec = await createCodec();
  const increments: RecordedIncrement[] = [];
  let space!: PfnSpace;
  let memory!: Uint8Array;
  let image: Uint8Array | undefined;
  let bitmap = new DirtyBitmap(LOG_PAGES);
  let boundary = 0;
  const spare = new Uint8Array(PAGE_SIZE);
  const handler: XenStreamHandler = {
    xlHeader(header) {
      const regions = regionsFor(parseGuestConfig(header.config));
      space = new PfnSpace(regions);
      memory = new Uint8Array(totalPages(regions) * PAGE_SIZE);
    },
    imageHeader() {},
    record() {},
    pages(pfns, types) {
      pfns.forEach((pfn, index) => types[index] === 0 && bitmap.set(pfn));
    },
    place(pfn) {
      const gfn = space.gfnOf(pfn);
      return gfn < 0 ? spare : memory.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE);
    },
    checkpoint() {
      if (image) {
        let storedBytes = 0;
        for (const batch of changes(memory, image)) storedBytes += codec.encode(batch).bytes.length;
        const streamBytes = parser.position - boundary;
        increments.push({ streamBytes, pages: bitmap.count(), storedBytes, bitmap });
      }
      image ??= memory.slice();
      bitmap = new DirtyBitmap(LOG_PAGES);
      boundary = parser.position;
    },
    end() {},
  };
  const parser = new XenStreamParser(handler);
  for await (const chunk of createReadStream(path)) parser.push(chunk as Buffer);
  return increments;
}
