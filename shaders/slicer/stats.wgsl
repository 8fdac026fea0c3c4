// Pass 1 of the SLICER encoder. One look at every element gives what sanitising and CONST need (largest finite
// magnitude, smallest and largest bit pattern, non-finite elements) and the histogram of the top 11 bits of the keys,
// gathered in workgroup memory first because exponents crowd into a few bins.

/** Bins in workgroup memory: FIRST_BINS, or 1 for adapters on which global atomics are the cheaper ones. */
override SHARED_BINS: u32 = 2048u;

var<workgroup> wg_bins: array<atomic<u32>, SHARED_BINS>;
var<workgroup> wg_maxFinite: atomic<u32>;
var<workgroup> wg_maxBits: atomic<u32>;
var<workgroup> wg_maxComplement: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let survivor = chosen;
  let isSplit = PHASE == PHASE_SPLIT;
  var maxFinite = 0u;
  var maxBits = 0u;
  var maxComplement = 0u;
  var plus = 0u;
  var minus = 0u;
  var nans = 0u;
  for (var i = group.x * WORKGROUP + lane; i < params.count; i += groups.x * WORKGROUP) {
    var bits = featureBits(i);
    if (isSplit) {
      bits = sanitise(bits, survivor.limit);
    }
    let magnitude = bits & ~SIGN;
    plus += select(0u, 1u, bits == INFINITY_BITS);
    minus += select(0u, 1u, bits == (SIGN | INFINITY_BITS));
    nans |= select(0u, 1u, magnitude > INFINITY_BITS);
    if (magnitude == INFINITY_BITS) {
      continue; // what it becomes is known when all elements were seen
    }
    bits = select(bits, 0u, magnitude == 0u || magnitude > INFINITY_BITS);
    maxFinite = max(maxFinite, bits & ~SIGN);
    maxBits = max(maxBits, bits);
    maxComplement = max(maxComplement, ~bits);
    let key = rankKey(bits, i, survivor);
    if (key > 0u) {
      if (SHARED_BINS == FIRST_BINS) {
        atomicAdd(&wg_bins[key >> 20u], 1u);
      } else {
        atomicAdd(&selection.histogram[key >> 20u], 1u);
      }
    }
  }
  if ((plus | minus | nans) > 0u) {
    atomicAdd(&selection.plusInfinities, plus);
    atomicAdd(&selection.minusInfinities, minus);
    atomicMax(&selection.nans, nans);
  }
  atomicMax(&wg_maxFinite, maxFinite);
  atomicMax(&wg_maxBits, maxBits);
  atomicMax(&wg_maxComplement, maxComplement);
  workgroupBarrier();
  for (var bin = lane; bin < SHARED_BINS; bin += WORKGROUP) {
    let held = atomicLoad(&wg_bins[bin]);
    if (held > 0u) {
      atomicAdd(&selection.histogram[bin], held);
    }
  }
  if (lane == 0u) {
    atomicMax(&selection.maxFinite, atomicLoad(&wg_maxFinite));
    atomicMax(&selection.maxBits, atomicLoad(&wg_maxBits));
    atomicMax(&selection.maxComplement, atomicLoad(&wg_maxComplement));
  }
}
