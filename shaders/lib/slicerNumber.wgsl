// The number rules of FORMAT.md, family slicer, on bit patterns. No floating-point operation appears anywhere:
// they would be free to round, flush or reorder, and every encoder has to produce the same bytes.

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

/** Key of FORMAT.md: the magnitude, and for negatives the magnitude times the asymmetry, truncated. */
fn keyOf(bits: u32) -> u32 {
  let magnitude = bits & ~SIGN;
  if (bits < SIGN || PHASE == PHASE_ONLY) {
    return magnitude;
  }
  let parts = partsOf(magnitude);
  let product = parts.mantissa * params.asymmetryQ8;
  if (product == 0u) {
    return 0u;
  }
  let top = firstLeadingBit(product);
  var mantissa = product >> (max(top, 23u) - 23u);
  if (top < 23u) {
    mantissa = product << (23u - top);
  }
  let exponent = i32(parts.exponent + top) - 31;
  if (exponent >= 1) {
    return (u32(exponent) << 23u) | (mantissa & 0x7fffffu);
  }
  let drop = u32(1 - exponent);
  return select(mantissa >> min(drop, 31u), 0u, drop > 23u);
}

/** What this selection ranks element `index` by; 0 takes no part. `bits` are sanitised. */
fn rankKey(bits: u32, index: u32, survivor: Chosen) -> u32 {
  let key = keyOf(bits);
  if (PHASE != PHASE_SPLIT) {
    return key;
  }
  let survives = key > survivor.key || (key == survivor.key && index < survivor.cut);
  return select(0u, bits & ~SIGN, survives);
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

/** Code of `fixed` at `width` bits within lo…hi; hi > lo. The product stays below 2^32 because fixed < 2^24. */
fn codeOf(fixed: u32, lo: u32, hi: u32, width: u32) -> u32 {
  let range = hi - lo;
  return ((fixed - lo) * ((1u << width) - 1u) + range / 2u) / range;
}
