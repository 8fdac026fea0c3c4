// Pass 3 of the `rans` encoder, one workgroup: where the present elements of each segment go, and the widths of the matrix
// that are worth their exact price (FORMAT.md, "Choice of N"). One invocation estimates one width at a time.

/** Present elements per chunk of segments. */
var<workgroup> wg_part: array<u32, WORKGROUP>;
/** The cheapest width of each invocation, 0 for none, and its price. */
var<workgroup> wg_columns: array<u32, WORKGROUP>;
var<workgroup> wg_price: array<Wide, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) index: u32) {
  let chunk = (params.segments + WORKGROUP - 1u) / WORKGROUP;
  let first = index * chunk;
  let end = min(params.segments, first + chunk);
  var sum = 0u;
  for (var segment = first; segment < end; segment++) {
    sum += atomicLoad(&segments[segment]);
  }
  wg_part[index] = sum;
  workgroupBarrier();
  var before = 0u;
  var present = 0u;
  for (var part = 0u; part < WORKGROUP; part++) {
    before += select(0u, wg_part[part], part < index);
    present += wg_part[part];
  }
  for (var segment = first; segment < end; segment++) {
    before += atomicExchange(&segments[segment], before);
  }

  var best = 0u;
  var price = Wide(0xffffffffu, 0xffffffffu);
  if (present > 0u) {
    for (var columns = index + 1u; columns <= min(params.count, MAX_COLUMNS); columns += WORKGROUP) {
      if (params.count % columns == 0u) {
        let estimate = estimatedPrice(columns, present);
        if (wideLess(estimate, price)) {
          best = columns;
          price = estimate;
        }
      }
    }
  }
  wg_columns[index] = best;
  wg_price[index] = price;
  workgroupBarrier();
  if (index == 0u) {
    for (var other = 1u; other < WORKGROUP; other++) {
      let columns = wg_columns[other];
      let isEqual = wg_price[other].hi == price.hi && wg_price[other].lo == price.lo;
      if (columns > 0u && (wideLess(wg_price[other], price) || (isEqual && columns < best))) {
        best = columns;
        price = wg_price[other];
      }
    }
    state.present = present;
    state.candidates[0] = select(0u, divisorBelow(best), best > 0u);
    state.candidates[1] = best;
    state.candidates[2] = select(0u, divisorAbove(best), best > 0u);
  }
}

/** The next divisor of T, or 0. */
fn divisorBelow(columns: u32) -> u32 {
  for (var k = columns; k > 1u; k--) {
    if (params.count % (k - 1u) == 0u) {
      return k - 1u;
    }
  }
  return 0u;
}

fn divisorAbove(columns: u32) -> u32 {
  for (var k = columns + 1u; k <= min(params.count, MAX_COLUMNS); k++) {
    if (params.count % k == 0u) {
      return k;
    }
  }
  return 0u;
}
