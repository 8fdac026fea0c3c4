// Magnitudes as whole units of 2^(E-150), rounded half up (FORMAT.md, "Fixed point"), four at a time. Floats are used where
// they are exact only: a product with a power of two, a floor, a difference of neighbours.

/** The first of two factors whose product is 2^(150-E); one alone would be infinite for small E. */
export function unitScale(exponent: i32): f32 {
  const power = 150 - exponent;
  return powerOfTwo(power > 127 ? 100 : power);
}

/** The second factor. */
export function unitScaleRest(exponent: i32): f32 {
  const power = 150 - exponent;
  return powerOfTwo(power > 127 ? power - 100 : 0);
}

function powerOfTwo(power: i32): f32 {
  return reinterpret<f32>((power + 127) << 23);
}

/** Units of four float patterns, whatever their signs; what is so small that the product is inexact is 0 units anyway. */
export function unitsOf(patterns: v128, scale: v128, rest: v128): v128 {
  const exact = f32x4.mul(f32x4.mul(f32x4.abs(patterns), scale), rest);
  const whole = f32x4.floor(exact);
  const up = f32x4.ge(f32x4.sub(exact, whole), f32x4.splat(0.5));
  return i32x4.sub(i32x4.trunc_sat_f32x4_s(whole), up);
}
