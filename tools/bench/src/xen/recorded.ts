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
import { PAGE_SIZE, totalPages, type PageBatch } from '@fitdoc/interface';

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

function pick<T extends Uint8Array>(
  batch: PageBatch,
  from: number,
  to: number,
  column: 'masks' | 'pages',
  kind: number,
): T {
  const size = column === 'masks' ? 64 : PAGE_SIZE;
  const count = (end: number) => batch.kinds.subarray(0, end).filter((each) => each === kind).length;
  return batch[column].subarray(count(from) * size, count(to) * size) as T;
}

/** Splits what `diffPages` gave into batches of at most 1024 pages, as fitdoc stores them. */
function* batches(batch: PageBatch): Generator<PageBatch> {
  let word = 0;
  for (let from = 0; from < batch.gfns.length; from += 1024) {
    const to = Math.min(from + 1024, batch.gfns.length);
    const masks = pick(batch, from, to, 'masks', 3);
    let words = 0;
    for (const byte of masks) for (let rest = byte; rest; rest &= rest - 1) words++;
    yield {
      gfns: batch.gfns.subarray(from, to),
      kinds: batch.kinds.subarray(from, to),
      masks,
      words: batch.words.subarray(8 * word, 8 * (word + words)),
      pages: pick(batch, from, to, 'pages', 2),
    };
    word += words;
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
        for (const batch of batches(diffPages(memory, image)))
          storedBytes += codec.encode(batch).bytes.length;
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
