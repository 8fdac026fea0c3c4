// Which table a coefficient has (FORMAT.md, "Table of a coefficient"): by its class, or by neighbours that are known already. The
// including pass has `magnitudeAt` and sets `pv_classShift`.

const MAGNITUDE_CAP = 40u;

/** R × mh × mw bytes, four per word; empty: neighbours. */
@group(1) @binding(1) var<storage, read> classes: array<u32>;

/** Classes instead of neighbours. */
override CLASSES: bool = false;

var<private> pv_classShift: i32;

/** What a neighbour `back` symbols earlier counts. */
fn known(exists: bool, at: u32, back: u32) -> u32 {
  return select(0u, min(MAGNITUDE_CAP, magnitudeAt(at - select(0u, back, exists))), exists);
}

/** How many of the thresholds `energy` reaches. */
fn tableOfEnergy(energy: u32) -> u32 {
  let e = vec4<u32>(energy);
  let one = vec4<u32>(1u);
  let zero = vec4<u32>(0u);
  let reached = select(zero, one, e >= vec4<u32>(1u, 2u, 3u, 4u))
    + select(zero, one, e >= vec4<u32>(6u, 8u, 11u, 15u))
    + select(zero, one, e >= vec4<u32>(20u, 27u, 36u, 50u))
    + select(zero, one, e >= vec4<u32>(70u, 100u, 1000u, 1000u));
  return reached.x + reached.y + reached.z + reached.w;
}

struct Place {
  plane: u32,
  row: u32,
  column: u32,
  /** Rows since the lane began. */
  linesInLane: u32,
}

fn tableAt(at: u32, place: Place) -> u32 {
  if (CLASSES) {
    let index = (place.plane % params.rank * params.mapRows + place.row % params.mapRows) * params.mapColumns
      + place.column % params.mapColumns;
    let own = (classes[index >> 2u] >> ((index & 3u) * 8u)) & 0xffu;
    return u32(clamp(i32(own) + pv_classShift, 0, i32(params.tables) - 1));
  }
  let width = params.columns;
  let isSpectral = params.blockRows * params.blockColumns > 1u;
  var hasLeft = place.column > 0u;
  var hasUp = place.row > 0u;
  if (isSpectral) {
    hasLeft = place.column % params.blockColumns > 0u;
    hasUp = place.row % params.blockRows > 0u;
  }
  hasUp = hasUp && place.linesInLane >= 1u;
  var energy = 3u * known(hasUp, at, width) + 3u * known(hasLeft, at, 1u) + known(hasUp && hasLeft, at, width + 1u);
  if (isSpectral) {
    let rows = params.rows;
    energy += 2u * known(place.linesInLane >= rows, at, params.area)
      + known(place.linesInLane >= 2u * rows, at, 2u * params.area)
      + known(place.linesInLane >= 3u * rows, at, 3u * params.area);
  }
  return tableOfEnergy(energy);
}
