// Lays the words of a page whose mask bits are set out one behind the other.

const PAGE: usize = 4096;
/** More runs than this among 64 words: they are cheaper taken eight by eight than run by run. */
const MANY_RUNS: u64 = 8;

@inline
export function copyLine(to: usize, from: usize): void {
  v128.store(to, v128.load(from, 0), 0);
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

/** Copies the words whose bits are set to `out` without branching on them; writes up to 8 words beyond. */
@inline
function packWords(out: usize, page: usize, bits: u32): usize {
  store<u64>(out, load<u64>(page, 0));
  out += (bits & 1) << 3;
  store<u64>(out, load<u64>(page, 8));
  out += ((bits >> 1) & 1) << 3;
  store<u64>(out, load<u64>(page, 16));
  out += ((bits >> 2) & 1) << 3;
  store<u64>(out, load<u64>(page, 24));
  out += ((bits >> 3) & 1) << 3;
  store<u64>(out, load<u64>(page, 32));
  out += ((bits >> 4) & 1) << 3;
  store<u64>(out, load<u64>(page, 40));
  out += ((bits >> 5) & 1) << 3;
  store<u64>(out, load<u64>(page, 48));
  out += ((bits >> 6) & 1) << 3;
  store<u64>(out, load<u64>(page, 56));
  return out + ((bits >> 7) << 3);
}

/** Words in many short runs: no branch for a word. */
function packBytes(out: usize, from: usize, bits: u64): usize {
  while (bits != 0) {
    const shift = ctz<u64>(bits) & ~7;
    const byte = <u32>(bits >> shift) & 0xff;
    bits &= ~(<u64>0xff << shift);
    out = packWords(out, from + (<usize>shift << 3), byte);
  }
  return out;
}

/** Words in few runs, each copied by lines: the last line reaches beyond its run, but never beyond the page. */
@inline
function packRuns(out: usize, from: usize, bits: u64, end: usize): usize {
  while (bits != 0) {
    const first = ctz<u64>(bits);
    const length = ctz<u64>(~(bits >> first));
    const at = from + (<usize>first << 3);
    let done: usize = 0;
    const bytes = <usize>length << 3;
    for (; done < bytes && at + done + 64 <= end; done += 64) copyLine(out + done, at + done);
    for (; done < bytes; done += 8) store<u64>(out + done, load<u64>(at + done));
    out += bytes;
    // In two steps: a shift by 64 would be one by 0.
    bits &= ((<u64>-1 << first) << (length - 1)) << 1;
  }
  return out;
}

/** Writes the words of `page` whose bits are set in the 64 bytes at `mask`, and up to 8 words beyond. Returns the end. */
export function packPage(out: usize, page: usize, mask: usize): usize {
  for (let group: usize = 0; group < 64; group += 8) {
    const bits = load<u64>(mask + group);
    if (bits == 0) continue;
    const from = page + (group << 6);
    const runs = popcnt<u64>(bits & ~(bits << 1));
    out = runs > MANY_RUNS ? packBytes(out, from, bits) : packRuns(out, from, bits, page + PAGE);
  }
  return out;
}
