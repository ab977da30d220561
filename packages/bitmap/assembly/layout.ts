// The memory of one bitmap; src/storage.ts must agree.

/** Where a scan leaves the page to go on from. */
export const NEXT: usize = 16;
/** 256 entries of 8 bytes: the positions of a byte's set bits. */
export const TABLE: usize = 1024;
/** What a scan found, u32 each; also where the words of another bitmap are put to be merged. */
export const STAGE: usize = 4096;
/** The bitmap, with a zero word before it and zeros up to a whole block behind it. */
export const BITS: usize = 65536;

/** Entries after which a scan comes to an end; it may overshoot by a block's worth, 2048. */
export const STAGE_STOP: u32 = 4096;

/** Words that a scan looks at together: 256 bytes, 2048 pages. */
export const BLOCK_WORDS: u32 = 32;

export function wordAt(word: u32): usize {
  return BITS + ((<usize>word) << 3);
}

/**
 * 64 bytes of the bitmap as 16 lanes, one for 32 pages: a lane is 0 when its pages are all clean, -1 when they
 * are all dirty, and its sign tells the last of them. Saturation keeps all three.
 */
export function pack(address: usize): v128 {
  return i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(v128.load(address), v128.load(address, 16)),
    i16x8.narrow_i32x4_s(v128.load(address, 32), v128.load(address, 48)),
  );
}

/** Folds a summary of 64 half-words into one of words, in the even bits. */
export function foldHalves(summary: u64): u64 {
  return (summary | (summary >> 1)) & 0x5555555555555555;
}
