// Preprocessing, first pass: every needed row of the picture shrinks (or grows) to the width of the crop. One invocation
// makes one pixel as a weighted sum of neighbours in its row; weights and first neighbours come from the CPU
// (src/image/resample.ts), so that the GPU adds up exactly the same terms. Transparent texels lie on white paper.

struct Sizes {
  width: u32,     // of the crop
  rows: u32,      // rows of the picture that the crop reads
  first_row: u32, // the topmost of them
  taps: u32,      // weights per output pixel
}

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> narrowed: array<f32>; // rows × width × RGB, 0…255
@group(0) @binding(4) var<uniform> sizes: Sizes;

// round((c·a + 255·(255 - a)) / 255) in whole numbers, as src/image/resample.ts has it.
fn over_white(texel: vec4f) -> vec3f {
  let c = vec3u(round(texel.rgb * 255.0));
  let a = u32(round(texel.a * 255.0));
  let t = c * a + 255u * (255u - a) + 128u;
  return vec3f((t + (t >> vec3u(8u))) >> vec3u(8u));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= sizes.width || id.y >= sizes.rows) {
    return;
  }
  let start = starts[id.x];
  let first_weight = id.x * sizes.taps;
  let y = sizes.first_row + id.y;
  var sum = vec3f();
  for (var t = 0u; t < sizes.taps; t++) {
    sum += weights[first_weight + t] * over_white(textureLoad(picture, vec2u(start + t, y), 0));
  }
  let at = (id.y * sizes.width + id.x) * 3u;
  narrowed[at] = sum.r;
  narrowed[at + 1u] = sum.g;
  narrowed[at + 2u] = sum.b;
}
