// `isthmus` encoder: elements as fixed-point numbers less the mean of their channel; notes what was not finite and
// whether anything is negative. Planes lie `stride` apart, so that the channel transform can read whole vectors.

@group(0) @binding(2) var<storage, read_write> centred: array<i32>;
/** One per channel. */
@group(1) @binding(1) var<storage, read> means: array<i32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let exponent = sharedExponent();
  // What an infinity becomes.
  var limit = LARGEST;
  if (params.exponent == 0u) {
    limit = fixedMagnitude(largestMagnitude(), exponent);
  }
  var seen = 0u;
  for (var i = id.x; i < params.count; i += groups.x * WORKGROUP) {
    let bits = featureBits(i);
    let magnitude = bits & ~SIGN;
    var x: u32;
    if (magnitude < INFINITY_BITS) {
      x = fixedMagnitude(magnitude, exponent);
    } else {
      seen |= SEEN_NOT_FINITE;
      x = select(0u, limit, magnitude == INFINITY_BITS);
    }
    let isNegative = bits >= SIGN && x > 0u;
    seen |= select(0u, SEEN_NEGATIVE_ELEMENT, isNegative);
    let plane = i / params.area;
    let at = plane * params.stride + i - plane * params.area;
    centred[at] = select(i32(x), -i32(x), isNegative) - means[plane % params.channels];
  }
  note(seen);
}
