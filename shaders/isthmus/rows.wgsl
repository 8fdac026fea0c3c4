// `isthmus`: the block transform along rows, forward or inverse by its basis. An invocation makes four numbers of one row of one
// block; such rows lie one after the other in memory.

@group(0) @binding(2) var<storage, read_write> before: array<i32>;
@group(0) @binding(3) var<storage, read_write> after: array<i32>;
/** For each element before its weights in those after, filled up with zeros to whole vectors. */
@group(1) @binding(1) var<storage, read> basis: array<vec4<i32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let side = params.blockColumns;
  let quads = (side + 3u) / 4u;
  for (var task = id.x; task < params.symbols / side * quads; task += groups.x * WORKGROUP) {
    let quad = task % quads;
    let start = task / quads * side;
    var sum = vec4<i32>(1024);
    for (var i = 0u; i < side; i++) {
      sum += basis[i * quads + quad] * before[start + i];
    }
    let z = clamp(sum >> vec4<u32>(11u), vec4<i32>(-BLOCK_LIMIT), vec4<i32>(BLOCK_LIMIT));
    for (var k = 0u; k < min(4u, side - quad * 4u); k++) {
      after[start + quad * 4u + k] = z[k];
    }
  }
}
