// What the passes of the `isthmus` encoder find out on their way, and the numbers that follow from it. Binding 1 of every
// pass but those of the entropy coder. Statistics are those of stats.wgsl; the host reads the same words.

/** Invocations per workgroup, a multiple of 32 up to 256. */
override WORKGROUP: u32 = 256u;

const HAS_PLUS_INFINITY = 1u;
const HAS_MINUS_INFINITY = 2u;
const HAS_NAN = 4u;

const STEP_FIXED = 0u;
const STEP_RELATIVE = 1u;
const STEP_ABSOLUTE = 2u;

const SEEN_NOT_FINITE = 1u;
const SEEN_NEGATIVE_ELEMENT = 2u;
const SEEN_NEGATIVE_COEFFICIENT = 4u;

/** Largest fixed-point magnitude, and largest quantised one. */
const LARGEST = 16383u;
const LARGEST_MAGNITUDE = 4109u;

struct State {
  /** Largest finite magnitude without and with a sign bit; complement of the smallest pattern; HAS_… bits. */
  maxPositive: atomic<u32>,
  maxNegative: atomic<u32>,
  maxComplement: atomic<u32>,
  nonFinite: atomic<u32>,
  /** SEEN_… bits. */
  seen: atomic<u32>,
}

@group(0) @binding(1) var<storage, read_write> state: State;

/** Sets bits that may be set already: most invocations then need no atomic operation. */
fn note(bits: u32) {
  if ((bits & ~atomicLoad(&state.seen)) != 0u) {
    atomicOr(&state.seen, bits);
  }
}

/** Largest finite magnitude pattern; only without a profile. */
fn largestMagnitude() -> u32 {
  return max(atomicLoad(&state.maxPositive), atomicLoad(&state.maxNegative));
}

/** E. */
fn sharedExponent() -> u32 {
  return select(max(1u, largestMagnitude() >> 23u), params.exponent, params.exponent > 0u);
}

/** |X| of a finite magnitude pattern. */
fn fixedMagnitude(magnitude: u32, exponent: u32) -> u32 {
  let parts = partsOf(magnitude);
  if (parts.exponent > exponent + 1u) {
    return LARGEST;
  }
  if (parts.exponent == exponent + 1u) {
    return min(LARGEST, (parts.mantissa + 512u) >> 10u);
  }
  return min(LARGEST, (fixedPoint(magnitude, exponent) + 1024u) >> 11u);
}

/** Largest |X|. With a profile an infinity is the largest number there is, without one the largest of the feature. */
fn largestFixed(exponent: u32) -> u32 {
  if (params.exponent > 0u && (atomicLoad(&state.nonFinite) & (HAS_PLUS_INFINITY | HAS_MINUS_INFINITY)) > 0u) {
    return LARGEST;
  }
  return fixedMagnitude(largestMagnitude(), exponent);
}

/** The quantiser's step before weights. */
fn stepOf() -> u32 {
  if (params.stepRule == STEP_FIXED) {
    return params.stepValue;
  }
  let exponent = sharedExponent();
  if (params.stepRule == STEP_RELATIVE) {
    return max(1u, (largestFixed(exponent) * params.stepValue + 32768u) >> 16u);
  }
  // A normal float32 m·2^(e-150) in units of 2^(E-139): m·2^(e-E-11).
  let parts = partsOf(params.stepValue);
  let down = i32(exponent + 11u) - i32(parts.exponent);
  if (down <= 0) {
    return 65536u;
  }
  if (down > 24) {
    return 1u;
  }
  return clamp((parts.mantissa + (1u << u32(down - 1))) >> u32(down), 1u, 65536u);
}
