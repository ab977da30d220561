import { KIND_WHOLE, KIND_WORDS, MASK_SIZE, PAGE_SIZE, WORD_SIZE, type PageBatch } from '@fitdoc/interface';
import type { OnePage } from './one-page.js';
import { wordCounts } from './word-counts.js';

const ENTRY_WORDS = 3;

/**
 * What a decoded batch says of its pages, in shared memory, so that every worker can lay it over what lies
 * below: u32 number of pages; for each page, ascending, u32 gfn, u32 kind and u32 offset of what
 * it says: a mask and its words, a whole page, or nothing.
 */
export class Layer {
  readonly gfns: Uint32Array;
  readonly #kinds: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint32Array;

  constructor(memory: SharedArrayBuffer) {
    const pages = new Uint32Array(memory, 0, 1)[0]!;
    this.gfns = new Uint32Array(memory, 4, pages);
    this.#kinds = new Uint32Array(memory, 4 + 4 * pages, pages);
    this.#offsets = new Uint32Array(memory, 4 + 8 * pages, pages);
    this.#bytes = new Uint8Array(memory);
    this.#halves = new Uint32Array(memory);
  }

  /** Index of the first page that is not below `gfn`. */
  from(gfn: number): number {
    let low = 0;
    let high = this.gfns.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.gfns[middle]! < gfn) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Lays what the layer says of its page `index`. */
  lay(index: number, page: OnePage): void {
    const kind = this.#kinds[index]!;
    const offset = this.#offsets[index]!;
    if (kind === KIND_WHOLE) page.whole(this.#bytes, offset);
    // A page's mask lies before its words.
    else if (kind === KIND_WORDS) page.words(this.#bytes, offset, this.#halves, (offset + MASK_SIZE) / 4);
    else page.clear();
  }
}

/** Lays a batch out as a layer. */
export function layerOf(batch: PageBatch): SharedArrayBuffer {
  const pages = batch.gfns.length;
  const start = 4 + 4 * ENTRY_WORDS * pages;
  const memory = new SharedArrayBuffer(start + batch.masks.length + batch.words.length + batch.pages.length);
  const head = new Uint32Array(memory, 0, 1 + ENTRY_WORDS * pages);
  const bytes = new Uint8Array(memory);
  const counts = wordCounts(batch);
  head[0] = pages;
  head.set(batch.gfns, 1);
  head.set(batch.kinds, 1 + pages);
  let [out, mask, word, page] = [start, 0, 0, 0];
  const append = (part: Uint8Array): void => {
    bytes.set(part, out);
    out += part.length;
  };
  for (let index = 0; index < pages; index++) {
    head[1 + 2 * pages + index] = out;
    if (batch.kinds[index] === KIND_WHOLE) {
      append(batch.pages.subarray(page, page + PAGE_SIZE));
      page += PAGE_SIZE;
    } else if (batch.kinds[index] === KIND_WORDS) {
      append(batch.masks.subarray(mask, mask + MASK_SIZE));
      append(batch.words.subarray(word, word + counts[index]! * WORD_SIZE));
      mask += MASK_SIZE;
      word += counts[index]! * WORD_SIZE;
    }
  }
  return memory;
}
