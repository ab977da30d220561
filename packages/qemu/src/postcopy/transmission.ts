import { DirtyBitmap } from '@fitdoc/bitmap';
import { FitdocError, PAGE_SIZE, type PageExtent, type PageRun } from '@fitdoc/interface';
import {
  RAM_CONTINUE,
  RAM_PAGE,
  RAM_ZERO,
  SECTION_END,
  SECTION_EOF,
  SECTION_PART,
} from '../stream/layout.js';
import { StreamBuffer } from '../stream/stream-buffer.js';
import { endSection, RAM_SECTION, type Block } from './messages.js';

/**
 * What was sent over a connection, and the only thing that makes messages with pages and the one that ends a
 * postcopy. So no page can be sent twice, which QEMU takes for an error, and the end cannot come before every page
 * that is not zero is out: QEMU would let the guest go on with zeros there, and say that all is well.
 */
export class Transmission {
  /** Pages that QEMU has got, whatever they hold. */
  readonly #sent: DirtyBitmap;
  /** Pages that may not be zero, and that QEMU has not got. */
  readonly #owed: DirtyBitmap;
  readonly #blocks: readonly Block[];
  readonly #out = new StreamBuffer();
  /** The block that the last record named: the next need not. */
  #named: Block | undefined;
  #left = 0;
  #ended = false;

  /** `stored`: outside of these runs all pages are zero. */
  constructor(blocks: readonly Block[], stored: readonly PageRun[]) {
    const pages = blocks.reduce((sum, block) => sum + block.pages, 0);
    this.#blocks = blocks;
    this.#sent = new DirtyBitmap(pages);
    this.#owed = new DirtyBitmap(pages);
    for (const run of stored) this.#owe(run);
    this.#left = this.#owed.count();
  }

  /** Pages that are still owed; some of them may turn out to be zero. */
  get left(): number {
    return this.#left;
  }

  /** Pages that QEMU has got. */
  get sentPages(): number {
    return this.#sent.count();
  }

  /** The host page around a guest's, as a run. */
  hostPage(gfn: number): PageRun {
    const block = this.blockOf(gfn);
    const pages = block.pageSize / PAGE_SIZE;
    return { start: gfn - ((gfn - block.firstGfn) % pages), count: pages };
  }

  blockOf(gfn: number): Block {
    const block = this.#blocks.find(({ firstGfn, pages }) => gfn >= firstGfn && gfn < firstGfn + pages);
    if (block) return block;
    throw new FitdocError('PROTOCOL_ERROR', `There is no page ${gfn} in any RAM block.`);
  }

  /** Whether QEMU has got a page. */
  isSent(gfn: number): boolean {
    return this.#sent.test(gfn);
  }

  /** Whether a page is still to be sent, unless it turns out to be zero. */
  isOwed(gfn: number): boolean {
    return this.#owed.test(gfn);
  }

  /** The parts of a run that are still owed. */
  owedIn({ start, count }: PageRun): PageRun[] {
    const runs: { start: number; count: number }[] = [];
    for (let gfn = start; gfn < start + count; gfn++) {
      if (!this.#owed.test(gfn)) continue;
      const last = runs.at(-1);
      if (last && last.start + last.count === gfn) last.count++;
      else runs.push({ start: gfn, count: 1 });
    }
    return runs;
  }

  /** Notes that QEMU has got what a bitmap of a block says: from the recovery of a postcopy. */
  received(name: string, bitmap: Uint8Array): void {
    const block = this.#blocks.find((each) => each.name === name);
    if (!block || bitmap.length * 8 < block.pages)
      throw new FitdocError('PROTOCOL_ERROR', `QEMU told what it has of a RAM block ${name} otherwise.`);
    for (let page = 0; page < block.pages; page++)
      if (((bitmap[page >>> 3]! >>> (page & 7)) & 1) === 1) this.#noteSent(block.firstGfn + page);
  }

  /**
   * A message with the pages of `run`, whole host pages, as `extents` has them; what it has not is zero. Those that
   * QEMU has got are left out. Host pages that are all zero are sent only when `zeros` says so, as somebody waits
   * for them; else QEMU has zeros there by itself. Undefined: nothing is left to be sent, or the end was.
   */
  section(run: PageRun, extents: readonly PageExtent[], zeros = false): Uint8Array | undefined {
    if (this.#ended) return undefined;
    const bytes = bytesByPage(run, extents);
    const out = this.#out;
    out.byte(SECTION_PART);
    out.uint32(RAM_SECTION);
    let records = 0;
    for (let gfn = run.start; gfn < run.start + run.count;) {
      const host = this.hostPage(gfn);
      gfn = host.start + host.count;
      if (host.start < run.start || gfn > run.start + run.count)
        throw new RangeError('a part of a host page');
      if (this.#sent.test(host.start)) continue;
      const filled = bytes.slice(host.start - run.start, gfn - run.start).some((page) => page !== undefined);
      if (!filled && !zeros) this.#settle(host);
      else records += this.#records(host, run, bytes);
    }
    if (records === 0) {
      out.take();
      return undefined;
    }
    endSection(out);
    return out.take();
  }

  /** The message that ends the postcopy. Throws while any page is owed. */
  end(): Uint8Array {
    if (this.#owed.count() > 0) throw new RangeError(`${this.#left} pages are still owed`);
    this.#ended = true;
    const out = this.#out;
    out.byte(SECTION_END);
    out.uint32(RAM_SECTION);
    endSection(out);
    out.byte(SECTION_EOF);
    return out.take();
  }

  #records(host: PageRun, run: PageRun, bytes: readonly (Uint8Array | undefined)[]): number {
    const block = this.blockOf(host.start);
    for (let gfn = host.start; gfn < host.start + host.count; gfn++) {
      const page = bytes[gfn - run.start];
      const kind = page === undefined ? RAM_ZERO : RAM_PAGE;
      const named = this.#named === block;
      this.#out.uint64((gfn - block.firstGfn) * PAGE_SIZE + kind + (named ? RAM_CONTINUE : 0));
      if (!named) this.#out.named(block.name);
      this.#named = block;
      if (page === undefined) this.#out.byte(0);
      else this.#out.bytes(page);
      this.#noteSent(gfn);
    }
    return host.count;
  }

  #noteSent(gfn: number): void {
    this.#sent.set(gfn);
    if (!this.#owed.test(gfn)) return;
    this.#owed.clear(gfn);
    this.#left--;
  }

  #settle({ start, count }: PageRun): void {
    for (let gfn = start; gfn < start + count; gfn++) {
      if (!this.#owed.test(gfn)) continue;
      this.#owed.clear(gfn);
      this.#left--;
    }
  }

  /** Whole host pages: the rest of one that holds any page is sent with it. */
  #owe({ start, count }: PageRun): void {
    if (count === 0) return;
    const first = this.hostPage(start);
    const last = this.hostPage(start + count - 1);
    this.#owed.setRun(first.start, last.start + last.count - first.start);
  }
}

function bytesByPage(run: PageRun, extents: readonly PageExtent[]): (Uint8Array | undefined)[] {
  const pages: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(run.count).fill(undefined);
  for (const { gfn, bytes } of extents) {
    for (let offset = 0; offset < bytes.length; offset += PAGE_SIZE) {
      const index = gfn - run.start + offset / PAGE_SIZE;
      if (index >= 0 && index < run.count) pages[index] = bytes.subarray(offset, offset + PAGE_SIZE);
    }
  }
  return pages;
}
