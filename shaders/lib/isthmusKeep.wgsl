// End of columns.wgsl for a step that the host has to search for: it gets the coefficients.

@group(0) @binding(3) var<storage, read_write> kept: array<i32>;

fn begin() {}

fn finish(at: u32, line: u32, column: u32, y: i32) {
  kept[at] = y;
}

fn end() {}
