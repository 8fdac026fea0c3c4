// The number rules that all lossy families share, on bit patterns (FORMAT.md). No floating-point operation appears
// anywhere: they would be free to round, flush or reorder, and every encoder has to produce the same bytes.

const SIGN = 0x80000000u;
const INFINITY_BITS = 0x7f800000u;

struct Parts {
  exponent: u32,
  mantissa: u32,
}

/** A finite magnitude as mantissa · 2^(exponent - 150); subnormals use exponent 1, as IEEE 754 does. */
fn partsOf(magnitude: u32) -> Parts {
  let e = magnitude >> 23u;
  let fraction = magnitude & 0x7fffffu;
  return Parts(max(e, 1u), select(fraction, fraction | 0x800000u, e > 0u));
}

/** NaN and -0 become +0, an infinity the largest finite magnitude with its sign. */
fn sanitise(bits: u32, limit: u32) -> u32 {
  let magnitude = bits & ~SIGN;
  let clipped = select(bits, (bits & SIGN) | limit, magnitude == INFINITY_BITS);
  return select(clipped, 0u, magnitude > INFINITY_BITS || (clipped & ~SIGN) == 0u);
}

/** Magnitude in units of 2^(exponent - 150), rounded half up; below 2^24. */
fn fixedPoint(magnitude: u32, exponent: u32) -> u32 {
  let parts = partsOf(magnitude);
  let shift = exponent - parts.exponent;
  if (shift == 0u) {
    return parts.mantissa;
  }
  if (shift > 24u) {
    return 0u;
  }
  return (parts.mantissa + (1u << (shift - 1u))) >> shift;
}
