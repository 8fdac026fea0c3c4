// Passes 2 and 3 of the SLICER encoder. Multi-rank radix select: the survivor limit and all block boundaries are order
// statistics of the same keys, so they are narrowed down together. Resolve the level before, then count the next
// 10 bits of every key that shares a prefix with some rank. Up to 16 slots of 1024 bins do not fit into workgroup
// memory; the bins are global, and equal neighbours are added in one go so that ties do not queue at one address.

/** The level this pass counts: 2 or 3. */
override LEVEL: u32 = 2u;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  var survivor = chosen;
  if (LEVEL == 2u && PHASE != PHASE_SPLIT) {
    survivor.limit = atomicLoad(&selection.maxFinite); // workgroup 0 is about to write it to `chosen`
  }
  resolveLevel(LEVEL - 1u, lane, survivor.limit, group.x == 0u);

  let below = select(0u, 10u, LEVEL == 2u);
  let base = histogramBase(LEVEL);
  var pendingBin = 0u;
  var pending = 0u;
  for (var i = group.x * WORKGROUP + lane; i < params.count; i += groups.x * WORKGROUP) {
    let key = rankKey(sanitise(featureBits(i), survivor.limit), i, survivor);
    let prefix = key >> (below + 10u);
    let slot = entriesAbove(prefix);
    if (key == 0u || wg_prefix[slot] != prefix) {
      continue;
    }
    let bin = base + slot * BINS + ((key >> below) & (BINS - 1u));
    if (bin != pendingBin && pending > 0u) {
      atomicAdd(&selection.histogram[pendingBin], pending);
      pending = 0u;
    }
    pendingBin = bin;
    pending++;
  }
  if (pending > 0u) {
    atomicAdd(&selection.histogram[pendingBin], pending);
  }
}
