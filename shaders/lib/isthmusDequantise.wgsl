// Both ends of columns.wgsl when decoding: symbols in, dequantised as they are read, and numbers out for the rows or the channels.

/** Symbols come from `input`, two signed 16-bit numbers per word; else from the pass before, one per word. */
override FROM_INPUT: bool = false;

@group(0) @binding(2) var<storage, read_write> quantised: array<i32>;
@group(0) @binding(3) var<storage, read_write> after: array<i32>;
@group(1) @binding(0) var<storage, read> input: array<u32>;

fn begin() {}

/** `line`: its row, counted over all planes. */
fn load(at: u32, line: u32, column: u32) -> i32 {
  var q: i32;
  if (FROM_INPUT) {
    let both = bitcast<i32>(input[params.first + (at >> 1u)]);
    q = select(both << 16u, both, (at & 1u) == 1u) >> 16u;
  } else {
    q = quantised[at];
  }
  if (q == 0) {
    return 0;
  }
  let step = i32(stepAt(params.stepValue, line, column));
  let magnitude = abs(q);
  let rho = select(params.rhoMore, params.rhoOne, magnitude == 1);
  let y = clamp(magnitude * step + ((rho * step + 128) >> 8u), 0, BLOCK_LIMIT);
  return select(y, -y, q < 0);
}

fn finish(at: u32, line: u32, column: u32, y: i32) {
  after[at] = y;
}

fn end() {}
