// Start of columns.wgsl when encoding: what rows.wgsl, or an earlier pass, has left.

@group(0) @binding(2) var<storage, read_write> before: array<i32>;

/** `line`: its row, counted over all planes. */
fn load(at: u32, line: u32, column: u32) -> i32 {
  return before[at];
}
