import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import {
  checkLibxlHeader,
  dataView,
  decodeImageHeader,
  decodeXlConfig,
  decodeXlHeader,
  IMAGE_HEADER_SIZE,
  LIBXL_HEADER_SIZE,
  XL_HEADER_SIZE,
  type ImageHeader,
  type XlHeader,
} from './headers.js';
import { hasData, LIBXC, LIBXL, libxcName, OPTIONAL_RECORD, RECORD_LIMIT } from './layout.js';

/** What a stream holds, told in the order in which it comes. Everything is called synchronously. */
export interface XenStreamHandler {
  xlHeader(header: XlHeader): void;
  imageHeader(image: ImageHeader): void;
  /** A record other than PAGE_DATA and the structural ones; the body is the handler's to keep. */
  record(layer: 'libxl' | 'libxc', type: number, body: Uint8Array): void;
  /** The pfns of a PAGE_DATA record and their types, before any of the data. Valid during the call. */
  pages(pfns: Uint32Array, types: Uint8Array): void;
  /** Lends memory for up to `count` consecutive pages from `pfn`: k × 4096 bytes, 1 ≤ k ≤ count. */
  place(pfn: number, count: number): Uint8Array;
  /** A checkpoint is complete: the guest's memory and records so far are a consistent whole. */
  checkpoint(): void;
  /** The stream is complete. */
  end(): void;
}

/** Each yielded view is filled with the stream's next bytes before the parser goes on. */
type Filling = Generator<Uint8Array, void, void>;

/**
 * Reads a Xen stream (of `xl save`, `migrate` or `remus`) as its bytes come in, in chunks of any size, and
 * copies page data once, to where the handler wants it.
 *
 * Both layers have record numbers of their own, and a stream of checkpoints changes between them: from libxl
 * to libxc at LIBXC_CONTEXT and after each CHECKPOINT_END, back at END and CHECKPOINT.
 *
 * Errors: FORMAT_FOREIGN, FORMAT_UNSUPPORTED, FORMAT_DAMAGED, FORMAT_LIMIT from `push`; FORMAT_TRUNCATED from
 * `finish`. After an error the parser must not be used further.
 */
export class XenStreamParser {
  /** Bytes taken so far. */
  position = 0;
  /** Whether the stream stands right behind a complete checkpoint, or is complete. */
  atBoundary = false;
  ended = false;
  readonly #handler: XenStreamHandler;
  readonly #steps: Filling;
  readonly #scratch = new Uint8Array(8);
  #target: Uint8Array | undefined;
  #filled = 0;
  #pfns = new Uint32Array(1024);
  #types = new Uint8Array(1024);

  constructor(handler: XenStreamHandler) {
    this.#handler = handler;
    this.#steps = this.#stream();
    this.#advance();
  }

  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) {
      const target = this.#target;
      if (target === undefined) throw this.#damaged('goes on behind its end');
      const count = Math.min(target.length - this.#filled, chunk.length - offset);
      target.set(chunk.subarray(offset, offset + count), this.#filled);
      this.#filled += count;
      this.position += count;
      offset += count;
      this.atBoundary = false;
      if (this.#filled === target.length) this.#advance();
    }
  }

  /** Says that no more bytes come. */
  finish(): void {
    if (this.atBoundary) return;
    throw new FitdocError(
      'FORMAT_TRUNCATED',
      `The Xen stream stops in the middle, at byte ${this.position}.`,
      {
        hint: 'The sender ended early or the file was cut short; use a complete one.',
      },
    );
  }

  #advance(): void {
    do {
      this.#filled = 0;
      this.#target = this.#steps.next().value ?? undefined;
    } while (this.#target?.length === 0);
  }

  #damaged(what: string): FitdocError {
    return new FitdocError('FORMAT_DAMAGED', `The Xen stream ${what}, at byte ${this.position}.`, {
      hint: 'The stream was altered or cut on its way; take it anew.',
    });
  }

  *#stream(): Filling {
    const fixed = new Uint8Array(XL_HEADER_SIZE);
    yield fixed;
    const { header, optional } = decodeXlHeader(fixed);
    const config = this.#allocate(optional);
    yield config;
    this.#handler.xlHeader({ ...header, config: decodeXlConfig(config) });
    const libxl = new Uint8Array(LIBXL_HEADER_SIZE);
    yield libxl;
    checkLibxlHeader(libxl);
    yield* this.#libxlRecords();
    this.ended = true;
    this.atBoundary = true;
    this.#handler.end();
  }

  *#libxlRecords(): Filling {
    let inContext = false;
    for (;;) {
      yield this.#scratch;
      const { type, length } = this.#recordHeader();
      const body = this.#allocate(length);
      yield body;
      yield* this.#padding(length);
      if (type === LIBXL.END) return;
      if (type === LIBXL.LIBXC_CONTEXT) {
        const image = new Uint8Array(IMAGE_HEADER_SIZE);
        yield image;
        this.#handler.imageHeader(decodeImageHeader(image));
        yield* this.#libxcRecords();
        inContext = true;
      } else if (type === LIBXL.CHECKPOINT_END) {
        if (!inContext) throw this.#damaged('ends a checkpoint that it did not begin');
        this.atBoundary = true;
        this.#handler.checkpoint();
        yield* this.#libxcRecords();
      } else {
        this.#checkLibxl(type);
        this.#handler.record('libxl', type, body);
      }
    }
  }

  *#libxcRecords(): Filling {
    for (;;) {
      yield this.#scratch;
      const { type, length } = this.#recordHeader();
      if (type === LIBXC.PAGE_DATA) {
        yield* this.#pageData(length);
        continue;
      }
      const body = this.#allocate(length);
      yield body;
      yield* this.#padding(length);
      if (type === LIBXC.END || type === LIBXC.CHECKPOINT) return;
      this.#checkLibxc(type);
      this.#handler.record('libxc', type, body);
    }
  }

  *#pageData(length: number): Filling {
    if (length < 8) throw this.#damaged('has a page record without a count');
    yield this.#scratch;
    const count = dataView(this.#scratch).getUint32(0, true);
    if (count === 0 || 8 + 8 * count > length) throw this.#damaged('has a page record whose count is wrong');
    const entries = new Uint8Array(8 * count);
    yield entries;
    const { pfns, types, withData } = this.#entries(entries, count);
    if (8 + 8 * count + PAGE_SIZE * withData !== length) {
      throw this.#damaged('has a page record whose length does not fit its pages');
    }
    this.#handler.pages(pfns, types);
    for (let index = 0; index < count;) {
      let run = 0;
      while (index + run < count && hasData(types[index + run]!) && pfns[index + run] === pfns[index]! + run)
        run++;
      for (let done = 0; done < run;) {
        const view = this.#handler.place(pfns[index]! + done, run - done);
        yield view;
        done += view.length / PAGE_SIZE;
      }
      index += Math.max(run, 1);
    }
  }

  #entries(bytes: Uint8Array, count: number) {
    if (this.#pfns.length < count) {
      this.#pfns = new Uint32Array(count);
      this.#types = new Uint8Array(count);
    }
    const view = dataView(bytes);
    let withData = 0;
    for (let index = 0; index < count; index++) {
      const high = view.getUint32(8 * index + 4, true);
      if ((high & 0x0fffffff) !== 0) throw this.#damaged('names a page beyond 16 TiB');
      this.#pfns[index] = view.getUint32(8 * index, true);
      this.#types[index] = high >>> 28;
      if (hasData(high >>> 28)) withData++;
    }
    return { pfns: this.#pfns.subarray(0, count), types: this.#types.subarray(0, count), withData };
  }

  #recordHeader(): { type: number; length: number } {
    const view = dataView(this.#scratch);
    return { type: view.getUint32(0, true), length: view.getUint32(4, true) };
  }

  *#padding(length: number): Filling {
    if (length % 8 === 0) return;
    const padding = this.#scratch.subarray(0, 8 - (length % 8));
    yield padding;
    if (padding.some((byte) => byte !== 0)) throw this.#damaged('has padding that is not zero');
  }

  #allocate(length: number): Uint8Array {
    if (length <= RECORD_LIMIT) return new Uint8Array(length);
    throw new FitdocError('FORMAT_LIMIT', `The Xen stream has a record of ${length} bytes.`, {
      hint: 'No toolstack writes one so large; the stream is damaged.',
    });
  }

  #checkLibxl(type: number): void {
    if (type === LIBXL.EMULATOR_XENSTORE_DATA || type === LIBXL.EMULATOR_CONTEXT) return;
    throw new FitdocError('FORMAT_UNSUPPORTED', `The Xen stream has a libxl record of type ${type}.`, {
      hint: 'COLO streams and those of a newer libxl cannot be read.',
    });
  }

  #checkLibxc(type: number): void {
    if (type >= OPTIONAL_RECORD) return;
    const known = type <= LIBXC.X86_MSR_POLICY && type !== LIBXC.VERIFY;
    if (known && type !== LIBXC.CHECKPOINT_DIRTY_PFN_LIST) return;
    throw new FitdocError('FORMAT_UNSUPPORTED', `The Xen stream has a libxc record ${libxcName(type)}.`, {
      hint: 'Streams with debug verification, COLO streams and those of a newer libxc cannot be read.',
    });
  }
}
