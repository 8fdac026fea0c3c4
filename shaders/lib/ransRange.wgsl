// From the statistics of pass 1 to the quantiser of FORMAT.md ("AIQ"). Every invocation that needs it works it out anew:
// that costs less than a dispatch.

struct Quantiser {
  isConst: bool,
  flags: u32,
  constBits: u32,
  /** What an infinity becomes. */
  limit: u32,
  exponent: u32,
  below: u32,
  above: u32,
  /** r, at least 1. */
  range: u32,
  /** n and z. */
  top: u32,
  zero: u32,
}

fn quantiser() -> Quantiser {
  var positive = atomicLoad(&state.maxPositive);
  var negative = atomicLoad(&state.maxNegative);
  var bottom = ~atomicLoad(&state.maxComplement);
  let nonFinite = atomicLoad(&state.nonFinite);
  let limit = max(positive, negative);
  if ((nonFinite & HAS_PLUS_INFINITY) > 0u) {
    positive = limit;
    bottom = min(bottom, limit);
  }
  if ((nonFinite & HAS_MINUS_INFINITY) > 0u) {
    negative = limit;
    bottom = min(bottom, sanitise(SIGN | INFINITY_BITS, limit));
  }
  var q: Quantiser;
  let largest = select(positive, SIGN | negative, negative > 0u);
  q.isConst = bottom == largest;
  q.constBits = largest;
  q.flags = select(0u, FLAG_CONST, q.isConst) | select(0u, FLAG_SANITISED, nonFinite > 0u);
  q.limit = limit;
  q.exponent = max(1u, limit >> 23u);
  q.below = fixedPoint(negative, q.exponent);
  q.above = fixedPoint(positive, q.exponent);
  q.range = max(1u, q.below + q.above);
  q.top = (1u << params.bits) - 1u;
  q.zero = min(q.top, (q.below * q.top + q.range / 2u) / q.range);
  return q;
}

/** Code of an element, sanitised. */
fn codeOf(bits: u32, q: Quantiser) -> u32 {
  let units = fixedPoint(bits & ~SIGN, q.exponent);
  let distance = (units * q.top + q.range / 2u) / q.range;
  if (bits >= SIGN) {
    return q.zero - min(q.zero, distance);
  }
  return min(q.top, q.zero + distance);
}
