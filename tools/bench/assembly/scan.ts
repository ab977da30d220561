// How others look for dirty pages, written as well as their algorithm allows: no bounds are checked where a
// page is noted, results go to a buffer that stays in the cache.

/** Results so far are forgotten every so many words, as if handed on. */
const SLICE: u32 = 512;
const OUT: usize = 4096;
const OUT_RUNS: usize = 16384;

function wordAt(bitmap: usize, word: u32): usize {
  return bitmap + ((<usize>word) << 3);
}

/** A test of each page, as Xen's send_dirty_pages. */
export function perPage(bitmap: usize, words: u32): u32 {
  let total: u32 = 0;
  for (let slice: u32 = 0; slice < words; slice += SLICE) {
    const end = min(slice + SLICE, words) << 6;
    let out = OUT;
    for (let page = slice << 6; page < end; page++) {
      if ((load<u64>(wordAt(bitmap, page >> 6)) >> (page & 63)) & 1) {
        store<u32>(out, page);
        out += 4;
      }
    }
    total += <u32>((out - OUT) >> 2);
  }
  return total;
}

/** Empty words are skipped, each bit of the others is tested, as in Xen 4.2's checkpoints. */
export function wordSkip(bitmap: usize, words: u32): u32 {
  let total: u32 = 0;
  for (let slice: u32 = 0; slice < words; slice += SLICE) {
    const end = min(slice + SLICE, words);
    let out = OUT;
    for (let word = slice; word < end; word++) {
      const bits = load<u64>(wordAt(bitmap, word));
      if (!bits) continue;
      for (let bit: u32 = 0; bit < 64; bit++) {
        if ((bits >> bit) & 1) {
          store<u32>(out, (word << 6) + bit);
          out += 4;
        }
      }
    }
    total += <u32>((out - OUT) >> 2);
  }
  return total;
}

/** Empty words are skipped, the set bits of the others found by counting trailing zeros, to a page list. */
export function ctzPages(bitmap: usize, words: u32): u32 {
  let total: u32 = 0;
  for (let slice: u32 = 0; slice < words; slice += SLICE) {
    const end = min(slice + SLICE, words);
    let out = OUT;
    for (let word = slice; word < end; word++) {
      let bits = load<u64>(wordAt(bitmap, word));
      while (bits) {
        store<u32>(out, (word << 6) + <u32>ctz(bits));
        out += 4;
        bits &= bits - 1;
      }
    }
    total += <u32>((out - OUT) >> 2);
  }
  return total;
}

function findNext(bitmap: usize, from: u32, words: u32, invert: u64): u32 {
  let word = from >> 6;
  if (word >= words) return words << 6;
  let bits = (load<u64>(wordAt(bitmap, word)) ^ invert) & (u64.MAX_VALUE << (from & 63));
  while (!bits) {
    word++;
    if (word >= words) return words << 6;
    bits = load<u64>(wordAt(bitmap, word)) ^ invert;
  }
  return (word << 6) + <u32>ctz(bits);
}

/** Runs: the next set bit and the next clear bit in turns, as Linux's find_next_bit and find_next_zero_bit. */
export function ctzRuns(bitmap: usize, words: u32): u32 {
  const pages = words << 6;
  let total: u32 = 0;
  let out = OUT;
  let page: u32 = 0;
  while (true) {
    const start = findNext(bitmap, page, words, 0);
    if (start >= pages) return total;
    page = findNext(bitmap, start, words, u64.MAX_VALUE);
    store<u32>(out, start);
    store<u32>(out, page - start, 4);
    out += 8;
    if (out === OUT + OUT_RUNS * 8) out = OUT;
    total++;
  }
}
