// `isthmus`: the block transform along columns, forward or inverse by its basis. An invocation makes four numbers of one column
// of one block. `load` and `finish` come from another file: coefficients to the quantiser, coefficients to the host, or
// symbols to coefficients.

/** For each element before its weights in those after, filled up with zeros to whole vectors. */
@group(1) @binding(1) var<storage, read> basis: array<vec4<i32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  begin();
  let side = params.blockRows;
  if (side == 1u) {
    for (var at = id.x; at < params.symbols; at += groups.x * WORKGROUP) {
      let line = at / params.columns;
      let column = at - line * params.columns;
      finish(at, line, column, load(at, line, column));
    }
  } else {
    let quads = (side + 3u) / 4u;
    for (var task = id.x; task < params.symbols / side * quads; task += groups.x * WORKGROUP) {
      let column = task % params.columns;
      let strip = task / params.columns;
      let quad = strip % quads;
      let row = strip / quads * side;
      var at = row * params.columns + column;
      var sum = vec4<i32>(1024);
      for (var i = 0u; i < side; i++) {
        sum += basis[i * quads + quad] * load(at, row + i, column);
        at += params.columns;
      }
      let y = clamp(sum >> vec4<u32>(11u), vec4<i32>(-BLOCK_LIMIT), vec4<i32>(BLOCK_LIMIT));
      for (var k = quad * 4u; k < min(quad * 4u + 4u, side); k++) {
        finish((row + k) * params.columns + column, row + k, column, y[k & 3u]);
      }
    }
  }
  end();
}
