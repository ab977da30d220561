import { PAGE_SIZE } from '@fitdoc/interface';
import { scatter } from './scatter.js';

/** One page as it becomes: zero, a page that lies somewhere, or words over either, in memory that stays in the cache. */
export class OnePage {
  readonly #bytes = new Uint8Array(PAGE_SIZE);
  readonly #halves = new Uint32Array(this.#bytes.buffer);
  #from: Uint8Array | undefined;
  #at = 0;
  #own = false;

  clear(): void {
    this.#from = undefined;
    this.#own = false;
  }

  /** It is the page at `at` of `bytes`, which is not zero. */
  whole(bytes: Uint8Array, at: number): void {
    this.#from = bytes;
    this.#at = at;
    this.#own = false;
  }

  /** It has these words over what it was; see `scatter`. */
  words(mask: Uint8Array, maskAt: number, words: Uint32Array, from: number): void {
    if (this.#from) this.#bytes.set(this.#from.subarray(this.#at, this.#at + PAGE_SIZE));
    else if (!this.#own) this.#halves.fill(0);
    this.#from = undefined;
    this.#own = true;
    scatter(mask, maskAt, words, from, this.#halves);
  }

  /** Where it lies, `lasting` or until the next page; undefined when it is zero. */
  content(): { readonly bytes: Uint8Array; readonly at: number; readonly lasting: boolean } | undefined {
    if (this.#from) return { bytes: this.#from, at: this.#at, lasting: true };
    if (!this.#own || this.#halves.every((half) => half === 0)) return undefined;
    return { bytes: this.#bytes, at: 0, lasting: false };
  }
}
