// Part of items.wgsl for tables that are sent: symbols are counted in workgroup memory first. The most frequent one is counted
// on the side.

@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

/** NEIGHBOUR_TABLES × TOKENS. */
var<workgroup> wg_counts: array<atomic<u32>, 405>;
var<private> pv_zeros: u32;

fn countSymbol(entry: u32) {
  if (entry == 0u) {
    pv_zeros++;
  } else {
    atomicAdd(&wg_counts[entry], 1u);
  }
}

fn finishTables(index: u32, first: u32, stride: u32) {
  if (pv_zeros > 0u) {
    atomicAdd(&wg_counts[0], pv_zeros);
  }
  workgroupBarrier();
  for (var entry = index; entry < NEIGHBOUR_TABLES * TOKENS; entry += WORKGROUP) {
    let held = atomicLoad(&wg_counts[entry]);
    if (held > 0u) {
      atomicAdd(&counts[entry], held);
    }
  }
}
