/** The page holds what the image held; it is in no stored batch. */
export const KIND_UNCHANGED = 0;
/** Every byte of the page is zero. Zero is data: a stored zero page overwrites. */
export const KIND_ZERO = 1;
/** All 4096 bytes are stored. */
export const KIND_WHOLE = 2;
/** The changed words are stored, with a mask that says which they are. */
export const KIND_WORDS = 3;

export type PageKind = typeof KIND_UNCHANGED | typeof KIND_ZERO | typeof KIND_WHOLE | typeof KIND_WORDS;

/** Most pages in one batch: 4 MiB of raw memory. */
export const MAX_BATCH_PAGES = 1024;

/**
 * The changes of up to MAX_BATCH_PAGES pages, in columns. Pages are in ascending gfn order, each once. The
 * columns masks, words and pages hold one entry for each page of the kind that needs it, in page order.
 */
export interface PageBatch {
  /** Page numbers, strictly ascending. */
  readonly gfns: Uint32Array;
  /** A PageKind a page, as long as `gfns`; never KIND_UNCHANGED. */
  readonly kinds: Uint8Array;
  /**
   * 64 bytes a KIND_WORDS page: bit `w & 7` of byte `w >> 3` is set when word `w` of the page changed
   * (512 bits, little-endian).
   */
  readonly masks: Uint8Array;
  /** The new 8-byte words of all KIND_WORDS pages, in page order and then word order. */
  readonly words: Uint8Array;
  /** 4096 bytes a KIND_WHOLE page. */
  readonly pages: Uint8Array;
}
