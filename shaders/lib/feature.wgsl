// The feature that a pass reads, element by element as float32 bit patterns, whatever type it has. Shared by all families:
// their uniform is `params` and its second word is `first`. Widening is done on whole numbers, because unpack2x16float may
// flush subnormals to zero.

/** Whether elements are float16, two per word; a constant, so that float32 pays nothing for it. */
override FEATURE_FLOAT16: bool = false;

@group(1) @binding(0) var<storage, read> feature: array<u32>;

/** Element `i`, below the number of elements. */
fn featureBits(i: u32) -> u32 {
  if (!FEATURE_FLOAT16) {
    return feature[params.first + i];
  }
  return widenHalf((feature[params.first + (i >> 1u)] >> ((i & 1u) * 16u)) & 0xffffu);
}

/** float32 pattern of a float16 pattern: the same number, infinity or kind of NaN. */
fn widenHalf(half: u32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let exponent = (half >> 10u) & 31u;
  let mantissa = half & 0x3ffu;
  if (exponent == 31u) {
    return sign | 0x7f800000u | (mantissa << 13u);
  }
  if (exponent > 0u) {
    return sign | ((exponent + 112u) << 23u) | (mantissa << 13u);
  }
  if (mantissa == 0u) {
    return sign;
  }
  let shift = countLeadingZeros(mantissa) - 21u; // brings the highest one to bit 10
  return sign | ((113u - shift) << 23u) | (((mantissa << shift) & 0x3ffu) << 13u);
}
