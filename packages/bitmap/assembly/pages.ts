import { emit } from './emit';
import { BLOCK_WORDS, NEXT, STAGE, STAGE_STOP, foldHalves, pack, wordAt } from './layout';

/**
 * Writes up to `limit` (at most 6144) set pages from page `from` on to the stage, and the page to go on from
 * to NEXT. Returns their number. Requires from < pages and cleared tail bits.
 */
export function scanPages(from: u32, pages: u32, limit: u32): u32 {
  const words = (pages + 63) >> 6;
  const stop = STAGE + ((<usize>min(limit, STAGE_STOP)) << 2);
  let word = from >> 6;
  let out = STAGE;
  if (from) {
    const first = load<u64>(wordAt(word)) & (u64.MAX_VALUE << (from & 63));
    out = take(first, word, out);
    word++;
    while (word & (BLOCK_WORDS - 1) && word < words && out < stop) {
      out = take(load<u64>(wordAt(word)), word, out);
      word++;
    }
  }
  while (word < words && out < stop) {
    let summary = dirtySummary(wordAt(word));
    while (summary) {
      const at = word + <u32>(ctz(summary) >> 1);
      let bits = load<u64>(wordAt(at));
      const base = at << 6;
      const count = <u32>popcnt(bits);
      if (count <= 4) {
        store<u32>(out, base + <u32>ctz(bits));
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 4);
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 8);
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 12);
        out += (<usize>count) << 2;
      } else {
        out = emit(bits, count, base, out);
      }
      summary &= summary - 1;
    }
    word += BLOCK_WORDS;
  }
  return finish(out, word, words, pages, limit);
}

function take(bits: u64, word: u32, out: usize): usize {
  return emit(bits, <u32>popcnt(bits), word << 6, out);
}

/** Bit 2 * i: word i of the block has a set bit. */
function dirtySummary(address: usize): u64 {
  const empty =
    clean(pack(address)) |
    (clean(pack(address + 64)) << 16) |
    (clean(pack(address + 128)) << 32) |
    (clean(pack(address + 192)) << 48);
  return foldHalves(~empty);
}

function clean(lanes: v128): u64 {
  return <u64>i8x16.bitmask(i8x16.eq(lanes, i8x16.splat(0)));
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
