// Exclusive prefix sums of 16 small counters over the invocations of a workgroup, in workgroup memory only: the
// baseline that every WebGPU device runs. scanSubgroup.wgsl has the same names and may take its place.
// Raking (each invocation sums 8 rows of one column) needs three barriers where a butterfly needs sixteen.

/** Row per place, 8 words of two 16-bit counters; after scanTile: the counters of all earlier places. */
var<workgroup> wg_scan: array<u32, WORKGROUP * 8>;
/** The counters of the whole workgroup, packed like a row. */
var<workgroup> wg_sum: array<u32, 8>;
var<workgroup> wg_part: array<u32, WORKGROUP>;

/** The place of an invocation in the order of the scan: who has it takes the elements of that place. */
fn scanPlace(lane: u32) -> u32 {
  return lane;
}

/** Adds one to counter `which` (0…15) of four words of four 8-bit counters. */
fn bump(packed: vec4<u32>, which: u32) -> vec4<u32> {
  let one = 1u << ((which & 3u) * 8u);
  return packed + select(vec4<u32>(0u), vec4<u32>(one), vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(which >> 2u));
}

/** Counter `which` of 8 words that start at `row` of wg_scan. */
fn scanned(row: u32, which: u32) -> u32 {
  return (wg_scan[row + (which >> 1u)] >> ((which & 1u) * 16u)) & 0xffffu;
}

/** Counter `which` summed over the workgroup. */
fn summed(which: u32) -> u32 {
  return (wg_sum[which >> 1u] >> ((which & 1u) * 16u)) & 0xffffu;
}

/** `packed` counts at most 32 per counter (see bump). Call from uniform control flow. */
fn scanTile(packed: vec4<u32>, lane: u32) {
  let row = lane * 8u;
  for (var pair = 0u; pair < 4u; pair++) {
    let four = packed[pair];
    wg_scan[row + 2u * pair] = (four & 0xffu) | ((four & 0xff00u) << 8u);
    wg_scan[row + 2u * pair + 1u] = ((four >> 16u) & 0xffu) | ((four >> 24u) << 16u);
  }
  workgroupBarrier();
  let column = lane & 7u;
  let part = lane & ~7u;
  var sum = 0u;
  for (var r = 0u; r < 8u; r++) {
    let at = (part + r) * 8u + column;
    let value = wg_scan[at];
    wg_scan[at] = sum;
    sum += value;
  }
  wg_part[part + column] = sum;
  workgroupBarrier();
  if (lane < 8u) {
    var total = 0u;
    for (var at = lane; at < WORKGROUP; at += 8u) {
      let value = wg_part[at];
      wg_part[at] = total;
      total += value;
    }
    wg_sum[lane] = total;
  }
  workgroupBarrier();
  for (var c = 0u; c < 8u; c++) {
    wg_scan[row + c] += wg_part[part + c];
  }
}
