// Preprocessing, second pass: columns become the height of the crop, then value·scale + offset per channel, which is
// (value/255 - mean) / std, written where the model's layout wants it.

struct Sizes {
  width: u32,     // of the crop
  height: u32,
  first_row: u32, // picture row that row 0 of `narrowed` came from
  taps: u32,
  planar: u32,    // 1: NCHW, 0: NHWC
  bgr: u32,       // 1: blue first
  scale: vec4f,   // by the tensor's channel order
  offset: vec4f,
}

@group(0) @binding(0) var<storage, read> narrowed: array<f32>; // rows × width × RGB, 0…255
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> tensor: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Sizes;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= sizes.width || id.y >= sizes.height) {
    return;
  }
  let start = starts[id.y] - sizes.first_row;
  let first_weight = id.y * sizes.taps;
  var sum = vec3f();
  for (var t = 0u; t < sizes.taps; t++) {
    let at = ((start + t) * sizes.width + id.x) * 3u;
    sum += weights[first_weight + t] * vec3f(narrowed[at], narrowed[at + 1u], narrowed[at + 2u]);
  }
  if (sizes.bgr == 1u) {
    sum = sum.bgr;
  }
  let normalised = sum * sizes.scale.xyz + sizes.offset.xyz;
  let pixel = id.y * sizes.width + id.x;
  let area = sizes.width * sizes.height;
  for (var c = 0u; c < 3u; c++) {
    tensor[select(pixel * 3u + c, c * area + pixel, sizes.planar == 1u)] = normalised[c];
  }
}
