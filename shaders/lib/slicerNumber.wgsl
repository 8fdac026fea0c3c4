// The number rules of family slicer beside those of number.wgsl: keys that rank elements, and codes within a block.

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

/** Code of `fixed` at `width` bits within lo…hi; hi > lo. The product stays below 2^32 because fixed < 2^24. */
fn codeOf(fixed: u32, lo: u32, hi: u32, width: u32) -> u32 {
  let range = hi - lo;
  return ((fixed - lo) * ((1u << width) - 1u) + range / 2u) / range;
}
