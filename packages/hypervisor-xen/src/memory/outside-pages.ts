import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { dataView } from '../stream/headers.js';

/** Most pages outside of the regions that are kept in the device state: 64 MiB. */
const LIMIT = 16384;

/** The pages of a domain that no region holds; they travel in the device state, all of them each time. */
export class OutsidePages {
  readonly #pages = new Map<number, Uint8Array>();

  get size(): number {
    return this.#pages.size;
  }

  /** The page's memory, new and zero at the first call. Errors: MACHINE_INCOMPATIBLE beyond 64 MiB. */
  page(pfn: number): Uint8Array {
    let page = this.#pages.get(pfn);
    if (page === undefined) {
      if (this.#pages.size >= LIMIT) {
        throw new FitdocError(
          'MACHINE_INCOMPATIBLE',
          'The domain has more than 64 MiB of memory outside of its known regions.',
          { hint: 'Its memory layout is not supported; say which devices it has when you report this.' },
        );
      }
      page = new Uint8Array(PAGE_SIZE);
      this.#pages.set(pfn, page);
    }
    return page;
  }

  delete(pfn: number): void {
    this.#pages.delete(pfn);
  }

  /** A u32 count, the pfns as u32, then the pages, in ascending order. */
  encode(): Uint8Array {
    const pfns = [...this.#pages.keys()].sort((a, b) => a - b);
    const bytes = new Uint8Array(4 + pfns.length * (4 + PAGE_SIZE));
    dataView(bytes).setUint32(0, pfns.length, true);
    pfns.forEach((pfn, index) => {
      dataView(bytes).setUint32(4 + 4 * index, pfn, true);
      bytes.set(this.#pages.get(pfn)!, 4 + 4 * pfns.length + PAGE_SIZE * index);
    });
    return bytes;
  }
}

/** Reads what `OutsidePages.encode` wrote: pfn to page. Errors: FORMAT_DAMAGED. */
export function decodeOutsidePages(bytes: Uint8Array): Map<number, Uint8Array> {
  const count = bytes.length < 4 ? -1 : dataView(bytes).getUint32(0, true);
  if (count < 0 || bytes.length !== 4 + count * (4 + PAGE_SIZE)) {
    throw new FitdocError('FORMAT_DAMAGED', "The checkpoint's extra Xen pages are damaged.", {
      hint: 'Verify the checkpoint and restore another one of the chain.',
    });
  }
  const pages = new Map<number, Uint8Array>();
  for (let index = 0; index < count; index++) {
    const start = 4 + 4 * count + PAGE_SIZE * index;
    pages.set(dataView(bytes).getUint32(4 + 4 * index, true), bytes.subarray(start, start + PAGE_SIZE));
  }
  return pages;
}
