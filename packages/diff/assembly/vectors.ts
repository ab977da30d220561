const PAGE: usize = 4096;

/** The 16 mask bits of 8 vectors of equal (-1) or unequal (0) 64-bit lanes. */
@inline
export function unequalBits(
  e0: v128,
  e1: v128,
  e2: v128,
  e3: v128,
  e4: v128,
  e5: v128,
  e6: v128,
  e7: v128,
): u32 {
  const a = v128.shuffle<i32>(e0, e1, 0, 2, 4, 6);
  const b = v128.shuffle<i32>(e2, e3, 0, 2, 4, 6);
  const c = v128.shuffle<i32>(e4, e5, 0, 2, 4, 6);
  const d = v128.shuffle<i32>(e6, e7, 0, 2, 4, 6);
  const low = i16x8.narrow_i32x4_s(a, b);
  const high = i16x8.narrow_i32x4_s(c, d);
  return ~(<u32>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high))) & 0xffff;
}

export function isZeroPage(at: usize): bool {
  for (let i: usize = 0; i < PAGE; i += 64) {
    const any = v128.or(
      v128.or(v128.load(at + i, 0), v128.load(at + i, 16)),
      v128.or(v128.load(at + i, 32), v128.load(at + i, 48)),
    );
    if (v128.any_true(any)) return false;
  }
  return true;
}
