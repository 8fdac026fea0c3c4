// The codes of the `rans` encoder (FORMAT.md, "AIQ").
import { unitScale, unitScaleRest, unitsOf } from './lib/fixedPoint';
import { roundedRatio } from './lib/roundedRatio';

/**
 * @param data finite float patterns, readable to a multiple of 16
 * @param range r @param top n @param zero z
 * @param codes room for a byte per element, rounded up to 16
 */
export function ransQuantise(
  data: usize,
  count: u32,
  exponent: i32,
  range: u32,
  top: u32,
  zero: u32,
  codes: usize,
): void {
  const scale = f32x4.splat(unitScale(exponent));
  const rest = f32x4.splat(unitScaleRest(exponent));
  const r = i32x4.splat(range);
  const half = i32x4.splat(range >>> 1);
  const n = i32x4.splat(top);
  const ratio = f32x4.splat(<f32>top / <f32>range);
  const z = i32x4.splat(zero);
  const limit = i16x8.splat(<i16>top);
  for (let at: u32 = 0; at < count; at += 16) {
    const from = data + (at << 2);
    const a = signedCode(v128.load(from), scale, rest, n, r, half, ratio, z);
    const b = signedCode(v128.load(from, 16), scale, rest, n, r, half, ratio, z);
    const c = signedCode(v128.load(from, 32), scale, rest, n, r, half, ratio, z);
    const d = signedCode(v128.load(from, 48), scale, rest, n, r, half, ratio, z);
    const ab = i16x8.min_s(i16x8.narrow_i32x4_s(a, b), limit);
    const cd = i16x8.min_s(i16x8.narrow_i32x4_s(c, d), limit);
    v128.store(codes + at, i8x16.narrow_i16x8_u(ab, cd)); // what is below 0 becomes 0
  }
}

/** The code before it is brought into 0…n. */
function signedCode(
  x: v128,
  scale: v128,
  rest: v128,
  top: v128,
  range: v128,
  half: v128,
  ratio: v128,
  zero: v128,
): v128 {
  const distance = roundedRatio(unitsOf(x, scale, rest), top, range, half, ratio);
  const sign = i32x4.shr_s(x, 31);
  return i32x4.add(zero, i32x4.sub(v128.xor(distance, sign), sign));
}
