// ⌊(u·n + ⌊r / 2⌋) / r⌋ for u ≤ r < 2^25, u < 2^24 and n ≤ 255, four at a time: the quantisers of both families. An estimate
// in floats, at most one off, is set right by its remainder in whole numbers, so no float decides a bit.

/**
 * @param units u
 * @param top n
 * @param range r, above 0
 * @param half ⌊r / 2⌋
 * @param ratio n / r as floats
 */
export function roundedRatio(units: v128, top: v128, range: v128, half: v128, ratio: v128): v128 {
  // 2^23 + q: adding so much rounds to a whole number, which is then the low bits of the pattern.
  const estimate = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(units), ratio), f32x4.splat(8388608));
  const q = v128.and(estimate, i32x4.splat(0x1ff));
  const left = i32x4.sub(i32x4.add(i32x4.mul(units, top), half), i32x4.mul(q, range));
  const tooHigh = i32x4.shr_s(left, 31);
  const tooLow = i32x4.ge_s(left, range);
  return i32x4.sub(i32x4.add(q, tooHigh), tooLow);
}
