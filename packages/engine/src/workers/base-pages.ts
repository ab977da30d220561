import { KIND_WHOLE, KIND_WORDS, MASK_SIZE, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import type { OnePage } from './one-page.js';
import { halvesOf } from './scatter.js';
import { wordCounts } from './word-counts.js';

/** The pages of a decoded batch, taken in ascending order. */
export class BasePages {
  readonly #batch: PageBatch;
  readonly #words: Uint32Array;
  readonly #counts: Uint16Array;
  #index = 0;
  #mask = 0;
  #word = 0;
  #whole = 0;

  constructor(batch: PageBatch) {
    this.#batch = batch;
    this.#words = halvesOf(batch.words);
    this.#counts = wordCounts(batch);
  }

  /** The next page; infinite where there is none. */
  get gfn(): number {
    return this.#batch.gfns[this.#index] ?? Number.POSITIVE_INFINITY;
  }

  /** Goes on to the first page that is not below `gfn`. */
  skipTo(gfn: number): void {
    while (this.gfn < gfn) this.#next();
  }

  /** Lays what the batch says of the next page, and goes on. */
  lay(page: OnePage): void {
    const { kinds, masks, pages } = this.#batch;
    const kind = kinds[this.#index]!;
    if (kind === KIND_WHOLE) page.whole(pages, this.#whole);
    else if (kind === KIND_WORDS) page.words(masks, this.#mask, this.#words, this.#word);
    this.#next();
  }

  #next(): void {
    const kind = this.#batch.kinds[this.#index]!;
    if (kind === KIND_WHOLE) this.#whole += PAGE_SIZE;
    else if (kind === KIND_WORDS) {
      this.#mask += MASK_SIZE;
      this.#word += 2 * this.#counts[this.#index]!;
    }
    this.#index++;
  }
}
