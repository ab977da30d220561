import { emit } from './emit';
import { BLOCK_WORDS, NEXT, STAGE, STAGE_STOP, foldHalves, pack, wordAt } from './layout';

/**
 * Writes up to `limit` (at most 3072) runs of set bits from page `from` on to the stage, as start and count,
 * and the page to go on from to NEXT. Returns the number of runs. Requires from < pages and cleared tail bits.
 *
 * A run is found by its edges, the bits that differ from the bit before, so that a long run costs as little
 * as a long gap. A summary tells which words of a block have an edge; only those are visited, and their edges
 * are taken in the way that suits their number.
 */
export function scanRuns(from: u32, pages: u32, limit: u32): u32 {
  const words = (pages + 63) >> 6;
  const stop = STAGE + ((<usize>min(limit << 1, STAGE_STOP)) << 2);
  let word = from >> 6;
  let out = STAGE;
  if (from) {
    // The first word may hold pages before `from`, whose run must not be seen.
    const first = load<u64>(wordAt(word)) & (u64.MAX_VALUE << (from & 63));
    out = take(first ^ (first << 1), word, out);
    word++;
    while (word & (BLOCK_WORDS - 1) && word < words && out < stop) {
      out = take(edges(word), word, out);
      word++;
    }
  }
  while (word < words && out < stop) {
    let summary = edgeSummary(wordAt(word));
    while (summary) {
      const at = word + <u32>(ctz(summary) >> 1);
      let bits = edges(at);
      const base = at << 6;
      const count = <u32>popcnt(bits);
      if (count <= 6) {
        store<u32>(out, base + <u32>ctz(bits));
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 4);
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 8);
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 12);
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 16);
        bits &= bits - 1;
        store<u32>(out, base + <u32>ctz(bits), 20);
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

function edges(word: u32): u64 {
  const address = wordAt(word);
  const bits = load<u64>(address);
  return bits ^ (bits << 1) ^ (load<u64>(address - 8) >> 63);
}

function take(bits: u64, word: u32, out: usize): usize {
  return emit(bits, <u32>popcnt(bits), word << 6, out);
}

/** Bit 2 * i: word i of the block has an edge. */
function edgeSummary(address: usize): u64 {
  const first = pack(address);
  const second = pack(address + 64);
  const third = pack(address + 128);
  const fourth = pack(address + 192);
  const before = i8x16.splat(load<i8>(address - 1));
  const still =
    calm(before, first) |
    (calm(first, second) << 16) |
    (calm(second, third) << 32) |
    (calm(third, fourth) << 48);
  return foldHalves(~still);
}

/** Bit i: lane i has no edge, for it is all clean after a clean page or all dirty after a dirty one. */
function calm(before: v128, lanes: v128): u64 {
  const last = v128.shuffle<i8>(
    before,
    lanes,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
    26,
    27,
    28,
    29,
    30,
  );
  return <u64>i8x16.bitmask(i8x16.eq(lanes, i8x16.lt_s(last, i8x16.splat(0))));
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
  for (let address = STAGE; address < end; address += 32) {
    const low = v128.load(address);
    const high = v128.load(address, 16);
    v128.store(address, i32x4.sub(low, v128.shuffle<i32>(low, zero, 4, 0, 4, 2)));
    v128.store(address, i32x4.sub(high, v128.shuffle<i32>(high, zero, 4, 0, 4, 2)), 16);
  }
}
