// Pass 6 of the `rans` encoder: D of FORMAT.md, already as steps of the entropy coder. One invocation takes one segment of
// present elements at a time (codes and columns), then one row at a time (counts).

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let columns = state.columns;
  if (columns == 0u) {
    return;
  }
  let present = state.present;
  let first = group.x * WORKGROUP + index;
  let stride = groups.x * WORKGROUP;
  for (var segment = first; segment < params.segments; segment += stride) {
    var at = atomicLoad(&segments[segment]);
    let end = min(params.words, (segment + 1u) * SEGMENT_WORDS);
    for (var word = segment * SEGMENT_WORDS; word < end; word++) {
      var bits = elements[word];
      let start = (word * 32u) % columns;
      while (bits > 0u) {
        let bit = firstTrailingBit(bits);
        let codes = elements[params.words + word * 8u + (bit >> 2u)];
        steps[at] = state.steps[(codes >> ((bit & 3u) * 8u)) & 0xffu];
        steps[present + at] = state.steps[(start + bit) % columns];
        at++;
        bits &= bits - 1u;
      }
    }
  }
  for (var row = first; row < params.count / columns; row += stride) {
    steps[2u * present + row] = state.steps[presentIn(row * columns, (row + 1u) * columns)];
  }
}
