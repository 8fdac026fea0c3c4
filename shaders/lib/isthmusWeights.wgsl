// The quantiser's step at a place of the map, for quantising and dequantising.

/** mh × mw, in 1/256. */
@group(1) @binding(2) var<storage, read> weights: array<u32>;

/** d of FORMAT.md. `line`: its row, counted over all planes. */
fn stepAt(step: u32, line: u32, column: u32) -> u32 {
  var cell = 0u;
  if (params.mapRows > 1u) {
    cell = line % params.rows % params.mapRows * params.mapColumns;
  }
  if (params.mapColumns > 1u) {
    cell += column % params.mapColumns;
  }
  return max(1u, (step * weights[cell] + 128u) >> 8u);
}
