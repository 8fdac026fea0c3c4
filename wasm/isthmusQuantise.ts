// The quantiser of family `isthmus` with its dead zone, and back (FORMAT.md, "Encode" and "Dequantise").
import { CAP } from './lib/isthmusTask';

/**
 * @param y i32 of `rows` rows, 12 more bytes are readable
 * @param planeRows rows of a plane
 * @param steps i32 per column in each of `stepRows` rows, 4 more each; what a row of the map makes of the step
 * @param deadZone in 1/256
 * @param q room for an i16 per coefficient and 8 bytes
 * @param magnitudes room for a byte per coefficient and 4 bytes
 * @returns 1 if anything is negative
 */
export function isthmusQuantise(
  y: usize,
  rows: u32,
  columns: u32,
  planeRows: u32,
  steps: usize,
  stepRows: u32,
  deadZone: u32,
  q: usize,
  magnitudes: usize,
): u32 {
  const zone = i32x4.splat(deadZone);
  const limit = i32x4.splat(4109);
  const cap = i16x8.splat(<i16>CAP);
  const lastLanes = tail(columns);
  let negative = i32x4.splat(0);
  for (let row: u32 = 0; row < rows; row++) {
    const line = steps + ((row % planeRows) % stepRows) * ((columns + 4) << 2);
    for (let x: u32 = 0; x < columns; x += 4) {
      const value = v128.load(y + (x << 2));
      const d = v128.load(line + (x << 2));
      const dividend = i32x4.add(i32x4.abs(value), i32x4.shr_u(i32x4.mul(d, zone), 8));
      // An estimate, at most one off, is set right by its remainder.
      const ratio = f32x4.div(f32x4.convert_i32x4_s(dividend), f32x4.convert_i32x4_s(d));
      const about = i32x4.trunc_sat_f32x4_s(ratio);
      const left = i32x4.sub(dividend, i32x4.mul(about, d));
      const exact = i32x4.sub(i32x4.add(about, i32x4.shr_s(left, 31)), i32x4.ge_s(left, d));
      const magnitude = i32x4.min_s(exact, limit);
      const sign = i32x4.shr_s(value, 31);
      const coefficient = i32x4.sub(v128.xor(magnitude, sign), sign);
      negative = v128.or(negative, x + 4 <= columns ? coefficient : v128.and(coefficient, lastLanes));
      v128.store64_lane(q + (x << 1), i16x8.narrow_i32x4_s(coefficient, coefficient), 0);
      const small = i16x8.min_s(i16x8.narrow_i32x4_s(magnitude, magnitude), cap);
      v128.store32_lane(magnitudes + x, i8x16.narrow_i16x8_u(small, small), 0);
    }
    y += columns << 2;
    q += columns << 1;
    magnitudes += columns;
  }
  return i32x4.bitmask(negative) ? 1 : 0;
}

/** Ones in the lanes that the last, incomplete vector of a row has. */
function tail(columns: u32): v128 {
  return i32x4.gt_s(i32x4.splat(columns & 3), i32x4(0, 1, 2, 3));
}

/**
 * @param q i16 per coefficient, 8 more bytes are readable
 * @param rho1 where a magnitude of 1 lies, in 1/256 of a step above it; @param rho2 for larger ones
 * @param y room for an i32 per coefficient and 12 bytes
 */
export function isthmusDequantise(
  q: usize,
  rows: u32,
  columns: u32,
  planeRows: u32,
  steps: usize,
  stepRows: u32,
  rho1: i32,
  rho2: i32,
  y: usize,
): void {
  const zero = i32x4.splat(0);
  const one = i32x4.splat(1);
  const first = i32x4.splat(rho1);
  const others = i32x4.splat(rho2);
  const half = i32x4.splat(128);
  const limit = i32x4.splat(1 << 17);
  for (let row: u32 = 0; row < rows; row++) {
    const line = steps + ((row % planeRows) % stepRows) * ((columns + 4) << 2);
    for (let x: u32 = 0; x < columns; x += 4) {
      const coefficient = v128.load16x4_s(q + (x << 1));
      const d = v128.load(line + (x << 2));
      const magnitude = i32x4.abs(coefficient);
      const rho = v128.bitselect(first, others, i32x4.eq(magnitude, one));
      const shift = i32x4.shr_s(i32x4.add(i32x4.mul(rho, d), half), 8);
      const middle = i32x4.add(i32x4.mul(magnitude, d), shift);
      const limited = i32x4.min_s(i32x4.max_s(middle, zero), limit);
      const sign = i32x4.shr_s(coefficient, 31);
      const value = i32x4.sub(v128.xor(limited, sign), sign);
      v128.store(y + (x << 2), v128.and(value, i32x4.ne(coefficient, zero)));
    }
    y += columns << 2;
    q += columns << 1;
  }
}
