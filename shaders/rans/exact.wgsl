// Pass 4 of the `rans` encoder: how often each column and each row count occurs, for up to three widths of the matrix.

/** Bins in workgroup memory: all 768, or 1 for adapters on which global atomics are the cheaper ones. */
override SHARED_BINS: u32 = 768u;

var<workgroup> wg_bins: array<atomic<u32>, SHARED_BINS>;

fn add(bin: u32, amount: u32) {
  if (SHARED_BINS > 1u) {
    atomicAdd(&wg_bins[bin], amount);
  } else {
    atomicAdd(&state.bins[bin], amount);
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let first = group.x * WORKGROUP + index;
  let stride = groups.x * WORKGROUP;
  for (var candidate = 0u; candidate < CANDIDATES; candidate++) {
    let columns = state.candidates[candidate];
    if (columns == 0u) {
      continue;
    }
    let base = candidate * SYMBOLS;
    for (var word = first; word < params.words; word += stride) {
      var bits = elements[word];
      if (columns == 1u && bits > 0u) {
        add(base, countOneBits(bits));
        continue;
      }
      // The column of the word's first element, so that only one division is left for all 32.
      let start = (word * 32u) % columns;
      while (bits > 0u) {
        add(base + (start + firstTrailingBit(bits)) % columns, 1u);
        bits &= bits - 1u;
      }
    }
    // Empty rows are the most frequent ones where there are many.
    var empty = 0u;
    for (var row = first; row < params.count / columns; row += stride) {
      let held = presentIn(row * columns, (row + 1u) * columns);
      if (held == 0u) {
        empty++;
      } else {
        add(base + held, 1u);
      }
    }
    if (empty > 0u) {
      add(base, empty);
    }
  }
  workgroupBarrier();
  if (SHARED_BINS > 1u) {
    for (var bin = index; bin < SHARED_BINS; bin += WORKGROUP) {
      let held = atomicLoad(&wg_bins[bin]);
      if (held > 0u) {
        atomicAdd(&state.bins[bin], held);
      }
    }
  }
}
