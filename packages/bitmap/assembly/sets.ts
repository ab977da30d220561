import { STAGE, wordAt } from './layout';

/** Number of set bits in the first `words` words, padded with zeros to an even number. */
export function count(words: u32): u32 {
  let total = i64x2.splat(0);
  const end = wordAt(words);
  for (let address = wordAt(0); address < end; address += 16) {
    const bytes = i16x8.extadd_pairwise_i8x16_u(i8x16.popcnt(v128.load(address)));
    const quads = i32x4.extadd_pairwise_i16x8_u(bytes);
    total = i64x2.add(total, i64x2.add(i64x2.extend_low_i32x4_u(quads), i64x2.extend_high_i32x4_u(quads)));
  }
  return <u32>(i64x2.extract_lane(total, 0) + i64x2.extract_lane(total, 1));
}

/** Sets the bits of `words` staged words in the bitmap from `word` on. */
export function mergeOr(word: u32, words: u32): void {
  const target = wordAt(word);
  const bytes = (<usize>words) << 3;
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(target + i, v128.or(v128.load(target + i), v128.load(STAGE + i)));
  }
}

/** Clears the bits of `words` staged words in the bitmap from `word` on. */
export function mergeAndNot(word: u32, words: u32): void {
  const target = wordAt(word);
  const bytes = (<usize>words) << 3;
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(target + i, v128.andnot(v128.load(target + i), v128.load(STAGE + i)));
  }
}
