// The same sums as scanShared.wgsl by subgroup operations, with two barriers. Nothing is assumed about subgroups but
// that they have 4 members on average: their size may differ from each other, and which invocations form one is theirs to say.

/** Row per place, 8 words of two 16-bit counters; after scanTile: the counters of all earlier places. */
var<workgroup> wg_scan: array<u32, WORKGROUP * 8>;
/** The counters of the whole workgroup, packed like a row. */
var<workgroup> wg_sum: array<u32, 8>;
/** Row per subgroup: its sums, then those of all earlier subgroups. */
var<workgroup> wg_part: array<u32, WORKGROUP * 2>;
/** Subgroups so far << 16 | invocations so far. */
var<workgroup> wg_next: atomic<u32>;
var<private> pv_subgroup: u32;

/**
 * The place of an invocation in the order of the scan: members of a subgroup are neighbours. Subgroups queue up as they
 * come; whoever asks for a place takes the elements of that place, so the order decides no byte.
 */
fn scanPlace(lane: u32) -> u32 {
  let rank = subgroupExclusiveAdd(1u);
  let members = subgroupAdd(1u);
  let before = atomicAdd(&wg_next, select(0u, members | (1u << 16u), rank == 0u));
  let first = subgroupAdd(select(0u, before, rank == 0u));
  pv_subgroup = first >> 16u;
  return (first & 0xffffu) + rank;
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
fn scanTile(packed: vec4<u32>, place: u32) {
  let even = (packed & vec4<u32>(0xffu)) | ((packed & vec4<u32>(0xff00u)) << vec4<u32>(8u));
  let odd = ((packed >> vec4<u32>(16u)) & vec4<u32>(0xffu)) | ((packed >> vec4<u32>(24u)) << vec4<u32>(16u));
  let evenBefore = subgroupExclusiveAdd(even);
  let oddBefore = subgroupExclusiveAdd(odd);
  let evenSum = subgroupAdd(even);
  let oddSum = subgroupAdd(odd);
  let part = pv_subgroup * 8u;
  if (subgroupElect()) {
    for (var pair = 0u; pair < 4u; pair++) {
      wg_part[part + 2u * pair] = evenSum[pair];
      wg_part[part + 2u * pair + 1u] = oddSum[pair];
    }
  }
  workgroupBarrier();
  if (place < 8u) {
    let end = (atomicLoad(&wg_next) >> 16u) * 8u;
    var total = 0u;
    for (var at = place; at < end; at += 8u) {
      let value = wg_part[at];
      wg_part[at] = total;
      total += value;
    }
    wg_sum[place] = total;
  }
  workgroupBarrier();
  let row = place * 8u;
  for (var pair = 0u; pair < 4u; pair++) {
    wg_scan[row + 2u * pair] = evenBefore[pair] + wg_part[part + 2u * pair];
    wg_scan[row + 2u * pair + 1u] = oddBefore[pair] + wg_part[part + 2u * pair + 1u];
  }
}
