import { emit } from './emit';
import { BLOCK_WORDS, NEXT, STAGE, wordAt } from './layout';

/**
 * Writes up to `limit` (at most 4096) set pages from page `from` on to the stage, and the page to go on from
 * to NEXT. Returns their number. Requires from < pages and cleared tail bits.
 */
export function scanPages(from: u32, pages: u32, limit: u32): u32 {
  const words = (pages + 63) >> 6;
  const stop = STAGE + ((<usize>limit) << 2);
  let word = from >> 6;
  const first = load<u64>(wordAt(word)) & (u64.MAX_VALUE << (from & 63));
  let out = emit(first, word << 6, STAGE);
  word++;
  while (word & (BLOCK_WORDS - 1) && word < words && out < stop) {
    out = emit(load<u64>(wordAt(word)), word << 6, out);
    word++;
  }
  while (word < words && out < stop) {
    let summary = bitSummary(wordAt(word));
    while (summary) {
      const at = word + <u32>ctz(summary);
      out = emit(load<u64>(wordAt(at)), at << 6, out);
      summary &= summary - 1;
      if (out >= stop && summary) return finish(out, at + 1, words, pages, limit);
    }
    word += BLOCK_WORDS;
  }
  return finish(out, word, words, pages, limit);
}

/** Bit i: word i of the block has a set bit. */
function bitSummary(address: usize): u64 {
  if (isEmpty(address)) return 0;
  let summary: u64 = 0;
  for (let i: u64 = 0; i < 64; i += 2) {
    summary |= (<u64>i64x2.bitmask(i64x2.ne(v128.load(address), i64x2.splat(0)))) << i;
    address += 16;
  }
  return summary;
}

function isEmpty(address: usize): bool {
  let bits = i64x2.splat(0);
  for (let i: usize = 0; i < 512; i += 64) {
    const low = v128.or(v128.load(address + i), v128.load(address + i, 16));
    const high = v128.or(v128.load(address + i, 32), v128.load(address + i, 48));
    bits = v128.or(bits, v128.or(low, high));
  }
  return !v128.any_true(bits);
}

function finish(out: usize, word: u32, words: u32, pages: u32, limit: u32): u32 {
  let next = word >= words ? pages : word << 6;
  let count = <u32>((out - STAGE) >> 2);
  if (count > limit) {
    count = limit;
    next = load<u32>(STAGE + ((<usize>count) << 2) - 4) + 1;
  }
  store<u32>(NEXT, next);
  return count;
}
