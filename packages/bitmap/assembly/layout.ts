// The memory of one bitmap; src/storage.ts must agree.

/** Where a scan leaves the page to go on from. */
export const NEXT: usize = 16;
/** 256 entries of 8 bytes: the positions of a byte's set bits. */
export const TABLE: usize = 1024;
/** What a scan found, u32 each; also where the words of another bitmap are put to be merged. */
export const STAGE: usize = 4096;
/** The bitmap, with a zero word before it and zeros up to a whole block behind it. */
export const BITS: usize = 65536;

/** Words that a scan looks at together: 512 bytes, 4096 pages. */
export const BLOCK_WORDS: u32 = 64;

export function wordAt(word: u32): usize {
  return BITS + ((<usize>word) << 3);
}
