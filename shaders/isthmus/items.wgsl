// `isthmus` encoder: which table, token and raw bits each quantised coefficient has (FORMAT.md, "Coded symbols", "Table of
// a coefficient"). An invocation takes eight symbols in a row, so that positions are worked out once in eight times.
// countSymbol and finishTables come from one of the isthmusTables… files.

const RUN = 8u;

/** Two signed 16-bit numbers per word. */
@group(0) @binding(2) var<storage, read_write> quantised: array<u32>;
@group(0) @binding(3) var<storage, read_write> items: array<u32>;

fn magnitudeAt(at: u32) -> u32 {
  let both = bitcast<i32>(quantised[at >> 1u]);
  return u32(abs(select(both << 16u, both, (at & 1u) == 1u) >> 16u));
}

/** What a step adds to every class: -3·log2(step). */
fn classShift(step: u32) -> i32 {
  let whole = firstLeadingBit(step);
  let mantissa = (step << 15u) >> whole;
  return -i32(3u * whole + select(0u, 1u, mantissa >= 41286u) + select(0u, 1u, mantissa >= 52016u));
}

/** First row of the lane that a row belongs to. */
fn laneStartOf(line: u32) -> u32 {
  if (params.lanesLog2 == 0u) {
    return 0u;
  }
  // Not too low, and seldom one too high: a lane has at least this many rows.
  var lane = min(line / (params.lines >> params.lanesLog2), (1u << params.lanesLog2) - 1u);
  while (laneStart(lane) > line) {
    lane--;
  }
  return laneStart(lane);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let isSigned = (atomicLoad(&state.seen) & SEEN_NEGATIVE_COEFFICIENT) > 0u;
  if (CLASSES) {
    pv_classShift = classShift(stepOf());
  }
  let first = group.x * WORKGROUP + index;
  for (var start = first * RUN; start < params.symbols; start += groups.x * WORKGROUP * RUN) {
    var line = start / params.columns;
    var place = Place(line / params.rows, line % params.rows, start % params.columns, line - laneStartOf(line));
    for (var at = start; at < min(start + RUN, params.symbols); at++) {
      let number = tableAt(at, place);
      let both = bitcast<i32>(quantised[at >> 1u]);
      let q = select(both << 16u, both, (at & 1u) == 1u) >> 16u;
      let magnitude = u32(abs(q));
      var token = magnitude;
      var rawBits = 0u;
      var raw = 0u;
      if (magnitude >= 15u) {
        rawBits = firstLeadingBit(magnitude - 14u);
        token = 15u + rawBits;
        raw = magnitude - 14u - (1u << rawBits);
      }
      if (isSigned && q != 0) {
        rawBits++;
        raw = 2u * raw + select(0u, 1u, q < 0);
      }
      let entry = number * TOKENS + token;
      countSymbol(entry);
      items[at] = packItem(entry, rawBits, raw);
      place.column++;
      if (place.column == params.columns) {
        place.column = 0u;
        line++;
        place.row++;
        if (place.row == params.rows) {
          place.row = 0u;
          place.plane++;
        }
        place.linesInLane = line - laneStartOf(min(line, params.lines - 1u));
      }
    }
  }
  finishTables(index, first, groups.x * WORKGROUP);
}
