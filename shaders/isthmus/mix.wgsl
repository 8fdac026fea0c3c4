// `isthmus` encoder: the channel transform, y = A·v at every position. An invocation makes four coefficients of four
// neighbouring positions, so that two loads feed sixteen products. No sum overflows: CodecProfile limits the rows of A.

/** Planes of `stride` elements. */
@group(0) @binding(2) var<storage, read_write> centred: array<vec4<i32>>;
@group(0) @binding(3) var<storage, read_write> coefficients: array<i32>;
/** A transposed: for each channel its R weights, filled up with zeros to whole vectors. */
@group(1) @binding(1) var<storage, read> analysis: array<vec4<i32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let quads = params.stride / 4u;
  let rankQuads = (params.rank + 3u) / 4u;
  let half = vec4<i32>((1i << params.shift) >> 1u);
  let shift = vec4<u32>(params.shift);
  for (var task = id.x; task < params.batches * rankQuads * quads; task += groups.x * WORKGROUP) {
    let quad = task % quads;
    let batch = (task / quads) / rankQuads;
    let rankQuad = (task / quads) % rankQuads;
    var first = half;
    var second = half;
    var third = half;
    var fourth = half;
    var at = batch * params.channels * quads + quad;
    for (var c = 0u; c < params.channels; c++) {
      let weights = analysis[c * rankQuads + rankQuad];
      let v = centred[at];
      first += weights.x * v;
      second += weights.y * v;
      third += weights.z * v;
      fourth += weights.w * v;
      at += quads;
    }
    let r = rankQuad * 4u;
    let plane = batch * params.rank + r;
    store(plane, quad, first >> shift);
    if (r + 1u < params.rank) {
      store(plane + 1u, quad, second >> shift);
    }
    if (r + 2u < params.rank) {
      store(plane + 2u, quad, third >> shift);
    }
    if (r + 3u < params.rank) {
      store(plane + 3u, quad, fourth >> shift);
    }
  }
}

fn store(plane: u32, quad: u32, y: vec4<i32>) {
  let limited = clamp(y, vec4<i32>(-CHANNEL_LIMIT), vec4<i32>(CHANNEL_LIMIT));
  let at = plane * params.area + quad * 4u;
  for (var i = 0u; i < min(4u, params.area - quad * 4u); i++) {
    coefficients[at + i] = limited[i];
  }
}
