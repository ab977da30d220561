// What diffPages does with pages that were copied into this kernel's own memory; src/pages-kernel.ts says where they lie.
import { packPage } from './pack';
import { isZeroPage, unequalBits } from './vectors';

const PAGE: usize = 4096;
const CHUNK: usize = 128;

/** Writes the page's mask and returns the number of words that differ. */
function compare(next: usize, image: usize, mask: usize): u32 {
  let words: u32 = 0;
  for (let i: usize = 0; i < PAGE; i += CHUNK) {
    const n = next + i;
    const m = image + i;
    const n0 = v128.load(n, 0);
    const n1 = v128.load(n, 16);
    const n2 = v128.load(n, 32);
    const n3 = v128.load(n, 48);
    const n4 = v128.load(n, 64);
    const n5 = v128.load(n, 80);
    const n6 = v128.load(n, 96);
    const n7 = v128.load(n, 112);
    const bits = unequalBits(
      i64x2.eq(n0, v128.load(m, 0)),
      i64x2.eq(n1, v128.load(m, 16)),
      i64x2.eq(n2, v128.load(m, 32)),
      i64x2.eq(n3, v128.load(m, 48)),
      i64x2.eq(n4, v128.load(m, 64)),
      i64x2.eq(n5, v128.load(m, 80)),
      i64x2.eq(n6, v128.load(m, 96)),
      i64x2.eq(n7, v128.load(m, 112)),
    );
    store<u16>(mask + (i >> 6), <u16>bits);
    words += popcnt<u32>(bits);
  }
  return words;
}

/**
 * Compares `count` pages, gives each its kind (0: nothing changed) and lays the masks and words of those of
 * KIND_WORDS out from `masks` and `words` on. Returns the end of the words.
 */
export function diff(
  next: usize,
  image: usize,
  count: u32,
  wholeAbove: u32,
  kinds: usize,
  masks: usize,
  words: usize,
): usize {
  for (let i: u32 = 0; i < count; i++) {
    const page = next + ((<usize>i) << 12);
    const changed = compare(page, image + ((<usize>i) << 12), masks);
    let kind: u8 = 0;
    if (changed != 0) {
      if (isZeroPage(page)) {
        kind = 1;
      } else if (changed > wholeAbove) {
        kind = 2;
      } else {
        kind = 3;
        words = packPage(words, page, masks);
        masks += 64;
      }
    }
    store<u8>(kinds + i, kind);
  }
  return words;
}
