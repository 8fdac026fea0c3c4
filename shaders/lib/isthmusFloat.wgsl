// From fixed-point numbers X to the elements of the feature, by bit patterns: X·2^(E-139) is an exact float32, and float16 is
// rounded from it as FORMAT.md says. No floating-point operation: none is exact everywhere.

/** Whether elements are float16, two per word. */
override FEATURE_FLOAT16: bool = false;

/** The feature, all zero before; atomic because two float16 elements share a word. */
@group(0) @binding(3) var<storage, read_write> decoded: array<atomic<u32>>;

/** float32 pattern of magnitude·2^(E-139), at most 16383; finite as long as the host limits it. */
fn floatPattern(magnitude: u32) -> u32 {
  if (magnitude == 0u) {
    return 0u;
  }
  let top = firstLeadingBit(magnitude);
  if (params.exponent + top > 12u) {
    return ((params.exponent + top - 12u) << 23u) | ((magnitude << (23u - top)) & 0x7fffffu);
  }
  return magnitude << (params.exponent + 10u); // subnormal
}

/** float16 pattern of a float32 magnitude pattern: nearest, ties to even, at most 65504. */
fn halfPattern(magnitude: u32) -> u32 {
  if (magnitude >= 0x477fe000u) {
    return 0x7bffu;
  }
  if (magnitude >= 0x38800000u) {
    let rebased = magnitude - 0x38000000u; // exponent 127 becomes 15
    return (rebased + 0xfffu + ((rebased >> 13u) & 1u)) >> 13u;
  }
  if (magnitude <= 0x33000000u) {
    return 0u; // 2^-25 is a tie with zero, which is even
  }
  let shift = 126u - (magnitude >> 23u);
  let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  let whole = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let half = 1u << (shift - 1u);
  return whole + select(0u, 1u, rest > half || (rest == half && (whole & 1u) == 1u));
}

fn put(index: u32, x: i32) {
  let limited = clamp(x, params.lowest, params.highest);
  var pattern = floatPattern(u32(abs(limited)));
  if (FEATURE_FLOAT16) {
    pattern = halfPattern(pattern) | select(0u, 0x8000u, limited < 0);
    atomicOr(&decoded[index >> 1u], pattern << ((index & 1u) * 16u));
  } else {
    atomicStore(&decoded[index], pattern | select(0u, 0x80000000u, limited < 0));
  }
}
