import type { Compressor } from '@fitdoc/interface';
import { MAX_BATCH_PAGES, PAGE_SIZE } from '@fitdoc/interface';
import type { Codec } from '@fitdoc/codec';
import { MemoryImage } from '@fitdoc/diff';
import type { RamTrace, TraceEpoch } from '../ramtrace.js';
import { REMUS_MOST, remusEncode } from './remus.js';
import { xbzrleEncode } from './xbzrle.js';

/** Bytes of a page's number in Xen's and QEMU's streams. */
const PAGE_NUMBER = 8;
/** What QEMU's stream puts before an XBZRLE page, besides its number: a flag and the length. */
const XBZRLE_HEADER = 3;

/** Takes the time between each `start` and `stop`: a lap an epoch. */
export class Clock {
  /** Milliseconds. */
  readonly laps: number[] = [];
  #since = 0;

  start(): void {
    this.#since = performance.now();
  }

  stop(): void {
    this.laps.push(performance.now() - this.#since);
  }
}

/** A way of storing all epochs of a recording; `run` gives the bytes that they take. */
export interface Way {
  readonly name: string;
  /** Brings the way's memory back to before the first epoch. */
  prepare(): Promise<void> | void;
  /**
   * Stores all epochs. The clock runs from when a way has an epoch's pages, in memory that it may read, until it
   * has the bytes to store.
   */
  run(clock: Clock): Promise<number> | number;
}

/** Every changed page in full, with its number. */
export function plainPages(trace: RamTrace): Way {
  const pages = trace.epochs.reduce((sum, epoch) => sum + epoch.gfns.length, 0);
  return { name: 'pages, plain', prepare: () => undefined, run: () => pages * (PAGE_SIZE + PAGE_NUMBER) };
}

/** Every changed page in full, compressed 1024 pages at a time as fitdoc's batches are; page numbers not counted. */
export function compressedPages(trace: RamTrace, compressor: Compressor, level: number): Way {
  return {
    name: `pages, ${compressor.name}-${level}`,
    prepare: () => undefined,
    run(clock) {
      let bytes = 0;
      for (const { pages } of trace.epochs) {
        clock.start();
        for (let at = 0; at < pages.length; at += MAX_BATCH_PAGES * PAGE_SIZE) {
          bytes += compressor.compress(pages.subarray(at, at + MAX_BATCH_PAGES * PAGE_SIZE), level).length;
        }
        clock.stop();
      }
      return bytes;
    },
  };
}

/** Remus's compression, of every page against what it held an epoch before. */
export function remus(trace: RamTrace): Way {
  const out = new Uint8Array(REMUS_MOST);
  return againstPrevious('Remus, 4-byte runs', trace, (next, previous) => {
    return PAGE_NUMBER + remusEncode(next, previous, out, 0);
  });
}

/** QEMU's XBZRLE, of every page against what it held an epoch before; zero pages take one byte. */
export function xbzrle(trace: RamTrace): Way {
  const out = new Uint8Array(PAGE_SIZE);
  const zero = Buffer.alloc(PAGE_SIZE);
  return againstPrevious('QEMU XBZRLE', trace, (next, previous) => {
    if (zero.equals(next)) return PAGE_NUMBER + 1;
    const length = xbzrleEncode(next, previous, out, 0);
    return length < 0 ? PAGE_NUMBER + PAGE_SIZE : PAGE_NUMBER + XBZRLE_HEADER + length;
  });
}

/**
 * fitdoc: compare the pages with the image, gather what changed, encode it. That the pages get into the memory
 * that the image lends is not counted: hypervisors write them there.
 */
export function fitdoc(trace: RamTrace, codec: Codec, name: string, sink?: (bytes: Uint8Array) => void): Way {
  const image = MemoryImage.create({ pages: trace.memoryPages });
  const into = new Uint8Array(MAX_BATCH_PAGES * PAGE_SIZE);
  const place = ({ gfns, pages }: TraceEpoch): void => {
    image.beginCapture();
    placePages(image, gfns, pages);
  };
  return {
    name,
    async prepare() {
      place(trace.base);
      await image.settle();
      image.clearPending();
    },
    async run(clock) {
      let bytes = 0;
      for (const epoch of trace.epochs) {
        place(epoch);
        clock.start();
        await image.settle();
        const pending = image.pending();
        for (let at = 0; at < pending.length; at += MAX_BATCH_PAGES) {
          const encoded = codec.encode(image.gather(pending.subarray(at, at + MAX_BATCH_PAGES), { into }));
          bytes += encoded.bytes.length;
          sink?.(encoded.bytes);
        }
        clock.stop();
        image.clearPending();
      }
      return bytes;
    },
  };
}

/** Writes pages into what the image lends, as a hypervisor does in a capture. */
export function placePages(image: MemoryImage, gfns: Uint32Array, pages: Uint8Array): void {
  for (let index = 0; index < gfns.length;) {
    const start = gfns[index] as number;
    let count = 1;
    while (gfns[index + count] === start + count) count += 1;
    const lent = image.place(start, count);
    const taken = lent.length / PAGE_SIZE;
    lent.set(pages.subarray(index * PAGE_SIZE, (index + taken) * PAGE_SIZE));
    index += taken;
  }
}

type EncodePage = (next: Uint8Array, previous: Uint8Array) => number;

function againstPrevious(name: string, trace: RamTrace, encode: EncodePage): Way {
  const places = new Map(Array.from(trace.base.gfns, (gfn, index) => [gfn, index]));
  // One aligned copy, so that the encoders may look at more than a byte at a time.
  const held = new Uint8Array(trace.base.pages.length);
  const epochs = trace.epochs.map(({ gfns, pages }) => ({ gfns, pages: new Uint8Array(pages) }));
  return {
    name,
    prepare: () => held.set(trace.base.pages),
    run(clock) {
      let bytes = 0;
      for (const { gfns, pages } of epochs) {
        clock.start();
        gfns.forEach((gfn, index) => {
          const at = (places.get(gfn) as number) * PAGE_SIZE;
          const previous = held.subarray(at, at + PAGE_SIZE);
          const next = pages.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
          bytes += encode(next, previous);
          previous.set(next);
        });
        clock.stop();
      }
      return bytes;
    },
  };
}
