import { emit } from './emit';
import { BLOCK_WORDS, NEXT, STAGE, wordAt } from './layout';

/**
 * Writes up to `limit` (at most 2048) runs of set bits from page `from` on to the stage, as start and count,
 * and the page to go on from to NEXT. Returns the number of runs. Requires from < pages and cleared tail bits.
 *
 * A run is found by its edges, the bits that differ from the bit before, so that a long run costs as little
 * as a long gap. Whole blocks without a difference are skipped, in others a summary tells the words with an
 * edge, and a word's edges are taken in the way that suits their number.
 */
export function scanRuns(from: u32, pages: u32, limit: u32): u32 {
  const words = (pages + 63) >> 6;
  const stop = STAGE + ((<usize>limit) << 3);
  let word = from >> 6;
  // The first word may hold pages before `from`, whose run must not be seen.
  const first = load<u64>(wordAt(word)) & (u64.MAX_VALUE << (from & 63));
  let out = emit(first ^ (first << 1), word << 6, STAGE);
  word++;
  while (word & (BLOCK_WORDS - 1) && word < words && out < stop) {
    out = emit(edges(word), word << 6, out);
    word++;
  }
  while (word < words && out < stop) {
    const address = wordAt(word);
    const before = load<u64>(address - 8) >> 63;
    if (isUniform(address)) {
      if ((load<u64>(address) & 1) !== before) {
        store<u32>(out, word << 6);
        out += 4;
      }
    } else {
      let summary = edgeSummary(address);
      while (summary) {
        const at = word + <u32>ctz(summary);
        out = emit(edges(at), at << 6, out);
        summary &= summary - 1;
        // Full within a block: later words are left for the next call.
        if (out >= stop && summary) return finish(out, at + 1, words, pages, limit);
      }
    }
    word += BLOCK_WORDS;
  }
  return finish(out, word, words, pages, limit);
}

function edges(word: u32): u64 {
  const address = wordAt(word);
  const bits = load<u64>(address);
  return bits ^ (bits << 1) ^ (load<u64>(address - 8) >> 63);
}

/** Whether all bits of the block are the same. */
function isUniform(address: usize): bool {
  const first = load<u64>(address);
  if (first + 1 > 1) return false;
  const expected = i64x2.splat(first);
  let difference = i64x2.splat(0);
  for (let i: usize = 0; i < 512; i += 64) {
    const low = v128.and(
      i64x2.eq(v128.load(address + i), expected),
      i64x2.eq(v128.load(address + i, 16), expected),
    );
    const high = v128.and(
      i64x2.eq(v128.load(address + i, 32), expected),
      i64x2.eq(v128.load(address + i, 48), expected),
    );
    difference = v128.or(difference, v128.not(v128.and(low, high)));
  }
  return !v128.any_true(difference);
}

/** Bit i: word i of the block has an edge. */
function edgeSummary(address: usize): u64 {
  let summary: u64 = 0;
  for (let i: u64 = 0; i < 64; i += 2) {
    const bits = v128.load(address);
    const before = i64x2.shr_u(v128.load(address - 8), 63);
    const edge = v128.xor(v128.xor(bits, i64x2.shl(bits, 1)), before);
    summary |= (<u64>i64x2.bitmask(i64x2.ne(edge, i64x2.splat(0)))) << i;
    address += 16;
  }
  return summary;
}

/** Turns the positions on the stage into runs, of which the last may still be open. */
function finish(out: usize, word: u32, words: u32, pages: u32, limit: u32): u32 {
  const atEnd = word >= words;
  let next = atEnd ? pages : word << 6;
  let edgeCount = <u32>((out - STAGE) >> 2);
  if (edgeCount & 1) {
    if (atEnd) {
      store<u32>(out, pages);
      edgeCount++;
    } else {
      edgeCount--;
      next = load<u32>(out - 4);
    }
  }
  let count = edgeCount >> 1;
  if (count > limit) {
    count = limit;
    next = load<u32>(STAGE + ((<usize>count) << 3) - 4);
  }
  endsToCounts(count);
  store<u32>(NEXT, next);
  return count;
}

function endsToCounts(count: u32): void {
  const zero = i32x4.splat(0);
  const end = STAGE + ((<usize>count) << 3);
  for (let address = STAGE; address < end; address += 16) {
    const runs = v128.load(address);
    v128.store(address, i32x4.sub(runs, v128.shuffle<i32>(runs, zero, 4, 0, 4, 2)));
  }
}
