// The main pass of the slicer encoder: which elements survive, in which block, with which code (FORMAT.md, "MS" and "ABQ").
// Sixteen elements at a time; nothing depends on a comparison but masks.
import { unitScale, unitScaleRest, unitsOf } from './lib/fixedPoint';
import { roundedRatio } from './lib/roundedRatio';
import { COMPACT8 } from './lib/shuffles';

/**
 * Goes over elements from…to - 1, both multiples of 16; what lies behind the last element has to be 0.
 *
 * An element is below `least` magnitudes of j blocks: it is in block j, or no survivor when j is the number of blocks.
 *
 * @param data float patterns
 * @param blocks number of blocks that are not empty, 1…16
 * @param least 16 × u32 for each block: its smallest magnitude, for each of sixteen neighbours
 * @param quantisers lo, n, r and (as floats) n / r, 16 × u32 each, one for each block
 * @param bitmap room for a bit per element
 * @param meta where survivors' bytes go: block, and 0x80 if negative
 * @param codes 16 × u32: for each block where its next code goes; they advance
 * @returns where the next survivor's byte goes
 */
export function slicerClassify(
  data: usize,
  from: u32,
  to: u32,
  blocks: u32,
  exponent: i32,
  least: usize,
  quantisers: usize,
  bitmap: usize,
  meta: usize,
  codes: usize,
): usize {
  const scale = f32x4.splat(unitScale(exponent));
  const rest = f32x4.splat(unitScaleRest(exponent));
  const magnitude = i32x4.splat(0x7fffffff);
  const zero = i32x4.splat(0);
  const outside = i8x16.splat(<i8>blocks);
  for (let at = from; at < to; at += 16) {
    const x0 = v128.load(data + (at << 2));
    const x1 = v128.load(data + (at << 2), 16);
    const x2 = v128.load(data + (at << 2), 32);
    const x3 = v128.load(data + (at << 2), 48);
    const a0 = v128.and(x0, magnitude);
    const a1 = v128.and(x1, magnitude);
    const a2 = v128.and(x2, magnitude);
    const a3 = v128.and(x3, magnitude);
    let j0 = zero;
    let j1 = zero;
    let j2 = zero;
    let j3 = zero;
    for (let bound = least, end = least + (blocks << 6); bound < end; bound += 64) {
      j0 = i32x4.sub(j0, i32x4.gt_s(v128.load(bound), a0));
      j1 = i32x4.sub(j1, i32x4.gt_s(v128.load(bound, 16), a1));
      j2 = i32x4.sub(j2, i32x4.gt_s(v128.load(bound, 32), a2));
      j3 = i32x4.sub(j3, i32x4.gt_s(v128.load(bound, 48), a3));
    }
    const block = bytesOf(j0, j1, j2, j3);
    const kept = i8x16.bitmask(i8x16.lt_u(block, outside));
    store<u16>(bitmap + (at >>> 3), kept);
    if (kept === 0) continue;
    const sign = v128.and(bytesOf(signOf(x0), signOf(x1), signOf(x2), signOf(x3)), i8x16.splat(-128));
    meta = compact(v128.or(block, sign), kept, meta);

    const q0 = codeOf(unitsOf(x0, scale, rest), j0, blocks, quantisers);
    const q1 = codeOf(unitsOf(x1, scale, rest), j1, blocks, quantisers);
    const q2 = codeOf(unitsOf(x2, scale, rest), j2, blocks, quantisers);
    const q3 = codeOf(unitsOf(x3, scale, rest), j3, blocks, quantisers);
    const code = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(q0, q1), i16x8.narrow_i32x4_s(q2, q3));
    for (let b: u32 = 0; b < blocks; b++) {
      const members = i8x16.bitmask(i8x16.eq(block, i8x16.splat(<i8>b)));
      store<u32>(codes + (b << 2), <u32>compact(code, members, load<u32>(codes + (b << 2))));
    }
  }
  return meta;
}

/** -1 where the sign bit is set. */
function signOf(x: v128): v128 {
  return i32x4.shr_s(x, 31);
}

/** Small whole numbers, -128…127, as bytes. */
function bytesOf(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

/** Writes the bytes that the mask names; up to 8 bytes behind them are overwritten. @returns where the next one goes */
function compact(bytes: v128, mask: u32, to: usize): usize {
  const low = mask & 255;
  const high = mask >>> 8;
  v128.store64_lane(to, i8x16.swizzle(bytes, v128.load64_zero(COMPACT8 + (low << 3))), 0);
  to += popcnt(low);
  const upper = i8x16.add(v128.load64_zero(COMPACT8 + (high << 3)), i8x16.splat(8));
  v128.store64_lane(to, i8x16.swizzle(bytes, upper), 0);
  return to + popcnt(high);
}

function codeOf(units: v128, block: v128, blocks: u32, quantisers: usize): v128 {
  const index = i32x4.shl(block, 2);
  const spread = i8x16.shuffle(index, index, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
  const bytes = i8x16.add(spread, i32x4.splat(0x03020100));
  const lo = lookUp(quantisers, bytes, blocks);
  const top = lookUp(quantisers + 64, bytes, blocks);
  const range = lookUp(quantisers + 128, bytes, blocks);
  const ratio = lookUp(quantisers + 192, bytes, blocks);
  return roundedRatio(i32x4.sub(units, lo), top, range, i32x4.shr_u(range, 1), ratio);
}

/** Four of up to sixteen u32 by their bytes' indices; 0 for what is outside. */
function lookUp(table: usize, bytes: v128, blocks: u32): v128 {
  let found = i8x16.swizzle(v128.load(table), bytes);
  for (let b: u32 = 4; b < blocks; b += 4) {
    bytes = i8x16.sub(bytes, i8x16.splat(16));
    table += 16;
    found = v128.or(found, i8x16.swizzle(v128.load(table), bytes));
  }
  return found;
}
