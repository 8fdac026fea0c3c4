// `rans` decoder, pass 2: how many present elements each run of rows has, by their counts. A count is a byte and there are
// at most 2^24, so no sum runs over, whatever was sent.

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let run = id.x;
  if (run >= params.runs) {
    return;
  }
  let first = run * params.rowsPerRun;
  let end = min(params.rows, first + params.rowsPerRun);
  var sum = 0u;
  for (var row = first; row < end; row++) {
    sum += symbolAt(2u * params.present + row);
  }
  runs[run] = sum;
}
