// Pass 2 of the `rans` encoder: codes of all elements, a bitmap of those that are not the code of zero, how often each
// code occurs, and how many present elements each segment has. One invocation owns one word of the bitmap at a time.

/** Bins in workgroup memory: SYMBOLS, or 1 for adapters on which global atomics are the cheaper ones. */
override SHARED_BINS: u32 = 256u;

var<workgroup> wg_bins: array<atomic<u32>, SHARED_BINS>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let q = quantiser();
  let words = select(params.words, 0u, q.isConst);
  for (var word = group.x * WORKGROUP + index; word < words; word += groups.x * WORKGROUP) {
    var bitmap = 0u;
    for (var four = 0u; four < 8u; four++) {
      var codes = 0u;
      for (var k = 0u; k < 4u; k++) {
        let i = word * 32u + four * 4u + k;
        if (i >= params.count) {
          break;
        }
        let code = codeOf(sanitise(featureBits(i), q.limit), q);
        if (code != q.zero) {
          bitmap |= 1u << (four * 4u + k);
          codes |= code << (k * 8u);
          if (SHARED_BINS == SYMBOLS) {
            atomicAdd(&wg_bins[code], 1u);
          } else {
            atomicAdd(&state.values[code], 1u);
          }
        }
      }
      elements[params.words + word * 8u + four] = codes;
    }
    elements[word] = bitmap;
    if (bitmap > 0u) {
      atomicAdd(&segments[word / SEGMENT_WORDS], countOneBits(bitmap));
    }
  }
  workgroupBarrier();
  for (var bin = index; bin < SHARED_BINS; bin += WORKGROUP) {
    let held = atomicLoad(&wg_bins[bin]);
    if (held > 0u) {
      atomicAdd(&state.values[bin], held);
    }
  }
}
