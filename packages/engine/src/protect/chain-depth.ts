import { KIND_WORDS, WORDS_PER_PAGE } from '@fitdoc/interface';

export interface ChainDepthOptions {
  readonly pages: number;
  /** Most increments that rebuilding a page may need. */
  readonly maxIncrements: number;
  /** Most words, in pages' worth, that rebuilding a page may replay before it is written whole. */
  readonly maxReplayPages: number;
}

/**
 * Counts, for every page, the increments and words that rebuilding it takes since it was last stored whole,
 * so that the engine writes it whole before that becomes too many. Three bytes a page, untouched ones free.
 */
export class ChainDepth {
  readonly #increments: Uint8Array;
  readonly #words: Uint16Array;
  readonly #maxIncrements: number;
  readonly #maxWords: number;

  constructor(options: ChainDepthOptions) {
    this.#increments = new Uint8Array(options.pages);
    this.#words = new Uint16Array(options.pages);
    this.#maxIncrements = Math.min(options.maxIncrements, 255);
    this.#maxWords = Math.min(options.maxReplayPages * WORDS_PER_PAGE, 65_535);
  }

  /** Flags the pages of `gfns` that the next increment must store whole. */
  wholeFlags(gfns: Uint32Array): Uint8Array {
    const flags = new Uint8Array(gfns.length);
    for (let i = 0; i < gfns.length; i++) {
      const gfn = gfns[i] ?? 0;
      const tooDeep = (this.#increments[gfn] ?? 0) >= this.#maxIncrements;
      if (tooDeep || (this.#words[gfn] ?? 0) >= this.#maxWords) flags[i] = 1;
    }
    return flags;
  }

  /** Counts a batch that is part of the chain now. A base's words need no increment, so they do not deepen it. */
  count(gfns: Uint32Array, kinds: Uint8Array, wordCounts: Uint16Array, ofBase: boolean): void {
    for (let i = 0; i < gfns.length; i++) {
      const gfn = gfns[i] ?? 0;
      if (kinds[i] !== KIND_WORDS || ofBase) {
        this.#increments[gfn] = 0;
        this.#words[gfn] = 0;
        continue;
      }
      this.#increments[gfn] = Math.min(255, (this.#increments[gfn] ?? 0) + 1);
      this.#words[gfn] = Math.min(65_535, (this.#words[gfn] ?? 0) + (wordCounts[i] ?? 0));
    }
  }

  /** Increments that rebuilding page `gfn` takes. */
  depthOf(gfn: number): number {
    return this.#increments[gfn] ?? 0;
  }

  /** The deepest of all pages. Walks all of them: for tests and reports. */
  deepest(): number {
    let deepest = 0;
    for (const depth of this.#increments) if (depth > deepest) deepest = depth;
    return deepest;
  }
}
