// Pass 1 of the `rans` encoder: one look at every element gives what sanitising, CONST and the range need.

var<workgroup> wg_maxPositive: atomic<u32>;
var<workgroup> wg_maxNegative: atomic<u32>;
var<workgroup> wg_maxComplement: atomic<u32>;
var<workgroup> wg_nonFinite: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  var positive = 0u;
  var negative = 0u;
  var complement = 0u;
  var nonFinite = 0u;
  for (var i = group.x * WORKGROUP + index; i < params.count; i += groups.x * WORKGROUP) {
    var bits = featureBits(i);
    let magnitude = bits & ~SIGN;
    if (magnitude == INFINITY_BITS) {
      nonFinite |= select(HAS_MINUS_INFINITY, HAS_PLUS_INFINITY, bits < SIGN);
      continue; // what it becomes is known when all elements were seen
    }
    if (magnitude > INFINITY_BITS) {
      nonFinite |= HAS_NAN;
      bits = 0u;
    }
    bits = select(bits, 0u, bits == SIGN);
    if (bits < SIGN) {
      positive = max(positive, bits);
    } else {
      negative = max(negative, bits & ~SIGN);
    }
    complement = max(complement, ~bits);
  }
  atomicMax(&wg_maxPositive, positive);
  atomicMax(&wg_maxNegative, negative);
  atomicMax(&wg_maxComplement, complement);
  atomicOr(&wg_nonFinite, nonFinite);
  workgroupBarrier();
  if (index == 0u) {
    atomicMax(&state.maxPositive, atomicLoad(&wg_maxPositive));
    atomicMax(&state.maxNegative, atomicLoad(&wg_maxNegative));
    atomicMax(&state.maxComplement, atomicLoad(&wg_maxComplement));
    atomicOr(&state.nonFinite, atomicLoad(&wg_nonFinite));
  }
}
