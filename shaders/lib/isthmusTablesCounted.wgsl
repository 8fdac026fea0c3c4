// Part of items.wgsl for tables that are sent: symbols are counted with global atomic operations, without a barrier. The most
// frequent one is counted on the side.

@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

var<private> pv_zeros: u32;

fn countSymbol(entry: u32) {
  if (entry == 0u) {
    pv_zeros++;
  } else {
    atomicAdd(&counts[entry], 1u);
  }
}

fn finishTables(index: u32, first: u32, stride: u32) {
  if (pv_zeros > 0u) {
    atomicAdd(&counts[0], pv_zeros);
  }
}
