import { TABLE } from './layout';

/** Fills the table of bit positions. */
export function fillTable(): void {
  for (let byte: usize = 0; byte < 256; byte++) {
    let entry = TABLE + (byte << 3);
    for (let bit: usize = 0; bit < 8; bit++) {
      if ((byte >> bit) & 1) {
        store<u8>(entry, <u8>bit);
        entry++;
      }
    }
  }
}

/**
 * Appends `base` plus the position of each of the `count` set bits at `out`, and returns the new end. Up to 8
 * entries behind the end are overwritten with garbage: a fixed number of stores costs less than a loop whose
 * end no branch predictor can foresee.
 */
export function emit(bits: u64, count: u32, base: u32, out: usize): usize {
  if (count <= 8) emitFew(bits, base, out);
  else if (count < 64) emitMany(bits, base, out);
  else emitAll(base, out);
  return out + ((<usize>count) << 2);
}

function emitFew(bits: u64, base: u32, out: usize): void {
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
  bits &= bits - 1;
  store<u32>(out, base + <u32>ctz(bits), 24);
  bits &= bits - 1;
  store<u32>(out, base + <u32>ctz(bits), 28);
}

/** A byte at a time through the table, without a branch. */
function emitMany(bits: u64, base: u32, out: usize): void {
  let bases = i32x4.splat(<i32>base);
  const step = i32x4.splat(8);
  for (let i = 0; i < 8; i++) {
    const byte = <usize>(bits & 255);
    const positions = v128.load8x8_u(TABLE + (byte << 3));
    v128.store(out, i32x4.add(bases, i32x4.extend_low_i16x8_u(positions)));
    v128.store(out, i32x4.add(bases, i32x4.extend_high_i16x8_u(positions)), 16);
    out += (<usize>popcnt<u32>(<u32>byte)) << 2;
    bases = i32x4.add(bases, step);
    bits >>= 8;
  }
}

function emitAll(base: u32, out: usize): void {
  let positions = i32x4.add(i32x4.splat(<i32>base), i32x4(0, 1, 2, 3));
  const step = i32x4.splat(4);
  for (let i = 0; i < 16; i++) {
    v128.store(out, positions);
    positions = i32x4.add(positions, step);
    out += 16;
  }
}
