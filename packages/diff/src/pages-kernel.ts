import { KIND_WORDS, MASK_SIZE, MAX_BATCH_PAGES, PAGE_SIZE } from '@fitdoc/interface';
import { kernelBase64 } from './generated/pages-kernel.js';
import { webAssembly } from './webassembly.js';

/** Pages that the kernel takes at a time: both sides of them fit a core's cache. */
export const GROUP_PAGES = 32;

const WASM_PAGE = 65_536;
const KINDS = 1024;
/** The two sides lie an odd number of pages apart, as the parts of an image do. */
const NEXT = PAGE_SIZE;
const IMAGE = NEXT + (GROUP_PAGES + 1) * PAGE_SIZE;
const MASKS = IMAGE + GROUP_PAGES * PAGE_SIZE;
const WORDS = MASKS + (MAX_BATCH_PAGES + 1) * MASK_SIZE;
/** Words are written by lines: the last may reach beyond the column. */
const SLACK = 128;
const BYTES = WORDS + MAX_BATCH_PAGES * PAGE_SIZE + SLACK;

interface KernelExports {
  diff(
    next: number,
    image: number,
    count: number,
    wholeAbove: number,
    kinds: number,
    masks: number,
    words: number,
  ): number;
}

/**
 * Compares pages that are copied into memory of its own, which is not shared: that is filled in half the time.
 * The columns of a batch grow there, over any number of groups of pages.
 */
export class PagesKernel {
  readonly next: Uint8Array;
  readonly image: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #kernel: KernelExports;
  #masks = MASKS;
  #words = WORDS;

  constructor() {
    const memory = new webAssembly.Memory({ initial: Math.ceil(BYTES / WASM_PAGE), maximum: 65_536 });
    const code = new webAssembly.Module(Buffer.from(kernelBase64, 'base64'));
    this.#kernel = new webAssembly.Instance(code, { env: { memory } }).exports as KernelExports;
    this.#bytes = new Uint8Array(memory.buffer);
    this.next = this.#bytes.subarray(NEXT, NEXT + GROUP_PAGES * PAGE_SIZE);
    this.image = this.#bytes.subarray(IMAGE, IMAGE + GROUP_PAGES * PAGE_SIZE);
  }

  /** Forgets the masks and words of the last batch. */
  begin(): void {
    this.#masks = MASKS;
    this.#words = WORDS;
  }

  /**
   * Compares the first `count` pages of `next` and `image`, adds to masks and words, and gives the pages' kinds,
   * which are good until the next call.
   */
  diff(count: number, wholeAbove: number): Uint8Array {
    this.#words = this.#kernel.diff(NEXT, IMAGE, count, wholeAbove, KINDS, this.#masks, this.#words);
    const kinds = this.#bytes.subarray(KINDS, KINDS + count);
    for (const kind of kinds) if (kind === KIND_WORDS) this.#masks += MASK_SIZE;
    return kinds;
  }

  /** The columns of masks and words so far, good until `begin`. */
  columns(): { readonly masks: Uint8Array; readonly words: Uint8Array } {
    const masks = this.#bytes.subarray(MASKS, this.#masks);
    return { masks, words: this.#bytes.subarray(WORDS, this.#words) };
  }
}
