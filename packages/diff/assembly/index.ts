// The hot loops of a memory image's shard. What each function must do stands in src/kernel.ts, the offsets in
// src/layout.ts; src/twin.ts does the same in plain TypeScript.

import { copyLine, packPage } from './pack';
import { isZeroPage, unequalBits } from './vectors';

const CONTROL: usize = 1024;
const TOUCHED: usize = CONTROL + 2 * 4;
const ZERO: usize = CONTROL + 3 * 4;
const PENDING: usize = CONTROL + 4 * 4;
const PLACED: usize = CONTROL + 5 * 4;
const CHANGED: usize = CONTROL + 6 * 4;
const STAGED: usize = CONTROL + 7 * 4;
const SLOT_OF: usize = CONTROL + 8 * 4;
const MASKS: usize = CONTROL + 9 * 4;
const IMAGE: usize = CONTROL + 10 * 4;
const SLOT_PAGE: usize = CONTROL + 11 * 4;
const SLOTS: usize = CONTROL + 12 * 4;
const PAGES: usize = CONTROL + 1 * 4;
const CHANGED_WORDS: usize = CONTROL + 16 * 4;

const BLOCK_LIST: usize = 64;
const BLOCK_KINDS: usize = 4160;
const BLOCK_MASKS: usize = 5184;
const BLOCK_WORDS: usize = 70720;
const BLOCK_WORDS_ROOM: usize = 65536;

const PAGE: usize = 4096;
const CHUNK: usize = 128;

@inline
function wordOf(bitmap: usize, page: u32): usize {
  return <usize>load<u32>(bitmap) + (<usize>(page >> 5) << 2);
}

@inline
function test(bitmap: usize, page: u32): bool {
  return ((load<u32>(wordOf(bitmap, page)) >> (page & 31)) & 1) != 0;
}

@inline
function set(bitmap: usize, page: u32): void {
  if (!test(bitmap, page)) atomic.or<u32>(wordOf(bitmap, page), 1 << (page & 31));
}

@inline
function clear(bitmap: usize, page: u32): void {
  if (test(bitmap, page)) atomic.and<u32>(wordOf(bitmap, page), ~(1 << (page & 31)));
}

/** Before the first word of a page's image changes. */
function mark(page: u32): void {
  set(PENDING, page);
  set(TOUCHED, page);
  set(CHANGED, page);
  clear(ZERO, page);
}

/** Compares 128 bytes, updates mask and image. Returns the changed words' bits. */
@inline
function diffChunk(next: usize, image: usize, mask: usize, page: u32, marked: bool): u32 {
  const n0 = v128.load(next, 0);
  const n1 = v128.load(next, 16);
  const n2 = v128.load(next, 32);
  const n3 = v128.load(next, 48);
  const n4 = v128.load(next, 64);
  const n5 = v128.load(next, 80);
  const n6 = v128.load(next, 96);
  const n7 = v128.load(next, 112);
  const i0 = v128.load(image, 0);
  const i1 = v128.load(image, 16);
  const i2 = v128.load(image, 32);
  const i3 = v128.load(image, 48);
  const i4 = v128.load(image, 64);
  const i5 = v128.load(image, 80);
  const i6 = v128.load(image, 96);
  const i7 = v128.load(image, 112);
  const any = v128.or(
    v128.or(
      v128.or(v128.xor(n0, i0), v128.xor(n1, i1)),
      v128.or(v128.xor(n2, i2), v128.xor(n3, i3)),
    ),
    v128.or(
      v128.or(v128.xor(n4, i4), v128.xor(n5, i5)),
      v128.or(v128.xor(n6, i6), v128.xor(n7, i7)),
    ),
  );
  if (!v128.any_true(any)) return 0;
  const bits = unequalBits(
    i64x2.eq(n0, i0),
    i64x2.eq(n1, i1),
    i64x2.eq(n2, i2),
    i64x2.eq(n3, i3),
    i64x2.eq(n4, i4),
    i64x2.eq(n5, i5),
    i64x2.eq(n6, i6),
    i64x2.eq(n7, i7),
  );
  if (!marked) mark(page);
  store<u16>(mask, load<u16>(mask) | <u16>bits);
  v128.store(image, n0, 0);
  v128.store(image, n1, 16);
  v128.store(image, n2, 32);
  v128.store(image, n3, 48);
  v128.store(image, n4, 64);
  v128.store(image, n5, 80);
  v128.store(image, n6, 96);
  v128.store(image, n7, 112);
  return bits;
}

/** The same where the image is known to be zero: only what is not zero is written, nothing is read. */
@inline
function freshChunk(next: usize, image: usize, mask: usize, page: u32, marked: bool): u32 {
  const n0 = v128.load(next, 0);
  const n1 = v128.load(next, 16);
  const n2 = v128.load(next, 32);
  const n3 = v128.load(next, 48);
  const n4 = v128.load(next, 64);
  const n5 = v128.load(next, 80);
  const n6 = v128.load(next, 96);
  const n7 = v128.load(next, 112);
  const any = v128.or(
    v128.or(v128.or(n0, n1), v128.or(n2, n3)),
    v128.or(v128.or(n4, n5), v128.or(n6, n7)),
  );
  if (!v128.any_true(any)) return 0;
  const none = i64x2.splat(0);
  const bits = unequalBits(
    i64x2.eq(n0, none),
    i64x2.eq(n1, none),
    i64x2.eq(n2, none),
    i64x2.eq(n3, none),
    i64x2.eq(n4, none),
    i64x2.eq(n5, none),
    i64x2.eq(n6, none),
    i64x2.eq(n7, none),
  );
  if (!marked) mark(page);
  store<u16>(mask, load<u16>(mask) | <u16>bits);
  v128.store(image, n0, 0);
  v128.store(image, n1, 16);
  v128.store(image, n2, 32);
  v128.store(image, n3, 48);
  v128.store(image, n4, 64);
  v128.store(image, n5, 80);
  v128.store(image, n6, 96);
  v128.store(image, n7, 112);
  return bits;
}

function diffTouched(next: usize, image: usize, mask: usize, page: u32): u32 {
  let words: u32 = 0;
  for (let i: usize = 0; i < PAGE; i += CHUNK) {
    const bits = diffChunk(next + i, image + i, mask + (i >> 6), page, words != 0);
    if (bits) words += popcnt<u32>(bits);
  }
  if (words != 0 && isZeroPage(image)) set(ZERO, page);
  return words;
}

function diffFresh(next: usize, image: usize, mask: usize, page: u32): u32 {
  let words: u32 = 0;
  for (let i: usize = 0; i < PAGE; i += CHUNK) {
    const bits = freshChunk(next + i, image + i, mask + (i >> 6), page, words != 0);
    if (bits) words += popcnt<u32>(bits);
  }
  return words;
}

export function diffSlots(from: u32, to: u32): u32 {
  const slotPage = <usize>load<u32>(SLOT_PAGE);
  const slotOf = <usize>load<u32>(SLOT_OF);
  const slots = <usize>load<u32>(SLOTS);
  const images = <usize>load<u32>(IMAGE);
  const masks = <usize>load<u32>(MASKS);
  let done: u32 = 0;
  let changed: u64 = 0;
  for (let slot = from; slot < to; slot++) {
    const page = load<u32>(slotPage + (<usize>slot << 2));
    const owner = slotOf + (<usize>page << 2);
    if (load<u32>(owner) != slot + 1) continue;
    const next = slots + (<usize>slot << 12);
    const image = images + (<usize>page << 12);
    const mask = masks + (<usize>page << 6);
    const words =
      test(TOUCHED, page) && !test(ZERO, page)
        ? diffTouched(next, image, mask, page)
        : diffFresh(next, image, mask, page);
    changed += words;
    store<u32>(owner, 0);
    clear(STAGED, page);
    done++;
  }
  atomic.add<u64>(CHANGED_WORDS, changed);
  return done;
}

function zeroPage(image: usize, mask: usize, page: u32): u32 {
  const none = i64x2.splat(0);
  let words: u32 = 0;
  for (let i: usize = 0; i < PAGE; i += CHUNK) {
    const at = image + i;
    const bits = unequalBits(
      i64x2.eq(v128.load(at, 0), none),
      i64x2.eq(v128.load(at, 16), none),
      i64x2.eq(v128.load(at, 32), none),
      i64x2.eq(v128.load(at, 48), none),
      i64x2.eq(v128.load(at, 64), none),
      i64x2.eq(v128.load(at, 80), none),
      i64x2.eq(v128.load(at, 96), none),
      i64x2.eq(v128.load(at, 112), none),
    );
    if (!bits) continue;
    if (words == 0) mark(page);
    words += popcnt<u32>(bits);
    const target = mask + (i >> 6);
    store<u16>(target, load<u16>(target) | <u16>bits);
    memory.fill(at, 0, CHUNK);
  }
  set(ZERO, page);
  return words;
}

export function zeroPages(from: u32, to: u32, unplacedOnly: bool): void {
  if (from >= to) return;
  const slotOf = <usize>load<u32>(SLOT_OF);
  const images = <usize>load<u32>(IMAGE);
  const masks = <usize>load<u32>(MASKS);
  let changed: u64 = 0;
  for (let base = from & ~31; base < to; base += 32) {
    let live = load<u32>(wordOf(TOUCHED, base)) & ~load<u32>(wordOf(ZERO, base));
    live |= load<u32>(wordOf(STAGED, base));
    if (unplacedOnly) live &= ~load<u32>(wordOf(PLACED, base));
    if (base < from) live &= <u32>-1 << (from & 31);
    if (to - base < 32) live &= (<u32>1 << (to & 31)) - 1;
    for (; live != 0; live &= live - 1) {
      const page = base + ctz<u32>(live);
      store<u32>(slotOf + (<usize>page << 2), 0);
      clear(STAGED, page);
      if (!test(TOUCHED, page) || test(ZERO, page)) continue;
      changed += zeroPage(images + (<usize>page << 12), masks + (<usize>page << 6), page);
    }
  }
  atomic.add<u64>(CHANGED_WORDS, changed);
}

export function clearPending(): u32 {
  const pages = load<u32>(PAGES);
  const masks = <usize>load<u32>(MASKS);
  let cleared: u32 = 0;
  for (let base: u32 = 0; base < pages; base += 32) {
    const at = wordOf(PENDING, base);
    const word = load<u32>(at);
    if (word == 0) continue;
    for (let live = word; live != 0; live &= live - 1) {
      memory.fill(masks + (<usize>(base + ctz<u32>(live)) << 6), 0, 64);
      cleared++;
    }
    store<u32>(at, 0);
  }
  return cleared;
}

function countMask(mask: usize): u32 {
  let words: u64 = 0;
  for (let i: usize = 0; i < 64; i += 8) words += popcnt<u64>(load<u64>(mask + i));
  return <u32>words;
}

export function classify(block: usize, count: u32, wholeAbove: u32): u32 {
  const images = <usize>load<u32>(IMAGE);
  const masks = <usize>load<u32>(MASKS);
  let total: u32 = 0;
  let out = block + BLOCK_MASKS;
  for (let i: u32 = 0; i < count; i++) {
    const page = load<u32>(block + BLOCK_LIST + (<usize>i << 2));
    const kind = block + BLOCK_KINDS + i;
    const forced = load<u8>(kind) != 0;
    const mask = masks + (<usize>page << 6);
    const words = test(PENDING, page) ? countMask(mask) : 0;
    if (words == 0 && !forced) {
      store<u8>(kind, 0);
    } else if (!test(TOUCHED, page) || test(ZERO, page) || isZeroPage(images + (<usize>page << 12))) {
      store<u8>(kind, 1);
    } else if (forced || words > wholeAbove) {
      store<u8>(kind, 2);
    } else {
      store<u8>(kind, 3);
      copyLine(out, mask);
      out += 64;
      total += words;
    }
  }
  return total;
}

export function words(block: usize, from: u32, count: u32): u32 {
  const images = <usize>load<u32>(IMAGE);
  const masks = <usize>load<u32>(MASKS);
  const start = block + BLOCK_WORDS;
  let out = start;
  let i = from;
  for (; i < count && out - start + PAGE <= BLOCK_WORDS_ROOM; i++) {
    if (load<u8>(block + BLOCK_KINDS + i) != 3) continue;
    const page = load<u32>(block + BLOCK_LIST + (<usize>i << 2));
    const image = images + (<usize>page << 12);
    const mask = masks + (<usize>page << 6);
    out = packPage(out, image, mask);
  }
  store<u32>(block, i);
  return <u32>(out - start);
}
