// `isthmus` decoder: the inverse channel transform and the elements. An invocation makes four channels of one position. No sum
// overflows: CodecProfile limits the rows of B.

@group(0) @binding(2) var<storage, read_write> before: array<i32>;
/** B: for each coefficient its weights in the channels, filled up with zeros to whole vectors. */
@group(1) @binding(1) var<storage, read> synthesis: array<vec4<i32>>;
@group(1) @binding(2) var<storage, read> means: array<i32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let area = params.area;
  let quads = (params.channels + 3u) / 4u;
  for (var task = id.x; task < params.batches * quads * area; task += groups.x * WORKGROUP) {
    let position = task % area;
    let quad = task / area % quads;
    let batch = task / area / quads;
    var sum = vec4<i32>((1i << params.shift) >> 1u);
    var at = batch * params.rank * area + position;
    for (var r = 0u; r < params.rank; r++) {
      sum += synthesis[r * quads + quad] * clamp(before[at], -CHANNEL_LIMIT, CHANNEL_LIMIT);
      at += area;
    }
    let x = sum >> vec4<u32>(params.shift);
    for (var c = quad * 4u; c < min(quad * 4u + 4u, params.channels); c++) {
      put((batch * params.channels + c) * area + position, means[c] + x[c & 3u]);
    }
  }
}
