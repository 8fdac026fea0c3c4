// Pass 6 of the SLICER encoder. Who survives and in which block is a function of key and index alone now. Every
// invocation takes 32 neighbours, writes their word of the bitmap, and after a scan of the tile's counters puts each
// survivor where it belongs: its tag in index order, its fixed-point value grouped by block.

/** Per rank: last key above it, and the index at which ties change sides. Padded with (0, 0): nobody is below key 0. */
var<workgroup> wg_bound: array<vec2<u32>, 16>;
var<workgroup> wg_base: array<u32, 16>;
var<workgroup> wg_before: u32;

/** Beyond boundary `rank`, that is in a later block or nowhere. */
fn isBeyond(key: u32, index: u32, rank: u32) -> bool {
  let bound = wg_bound[rank];
  return key < bound.x || (key == bound.x && index >= bound.y);
}

/** Boundaries passed; the block of a survivor. Binary search as in entriesAbove. */
fn blockOf(key: u32, index: u32) -> u32 {
  var at = select(0u, 8u, isBeyond(key, index, 7u));
  at += select(0u, 4u, isBeyond(key, index, at + 3u));
  at += select(0u, 2u, isBeyond(key, index, at + 1u));
  at += select(0u, 1u, isBeyond(key, index, at));
  return at;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let survivor = chosen;
  let ranks = selection.levels[2].ranks;
  if (lane < ranks) {
    let slot = selection.levels[2].slot[lane];
    wg_bound[lane] = vec2<u32>(selection.levels[2].prefix[slot], selection.cut[lane]);
  }
  workgroupBarrier();
  let last = max(ranks, 1u) - 1u;
  let survivors = selection.survivors;
  let perBlock = selection.perBlock;
  let exponent = selection.exponent;
  let writesBitmap = positionsMode(survivors) == 0u;
  let place = scanPlace(lane);
  let row = place * 8u;

  for (var tile = group.x; tile < params.tiles; tile += groups.x) {
    if (lane < MAX_BLOCKS) {
      wg_base[lane] = select(0u, counts[tile * COUNT_ROW + OFFSET_COLUMN + lane], lane < ranks);
    }
    let start = tile * tileSize() + place * ITEMS;
    var mask = 0u;
    var packed = vec4<u32>(0u);
    for (var k = 0u; k < ITEMS && start + k < params.count && ranks > 0u; k++) {
      let bits = sanitise(featureBits(start + k), survivor.limit);
      let key = rankKey(bits, start + k, survivor);
      if (key > 0u && !isBeyond(key, start + k, last)) {
        mask |= 1u << k;
        packed = bump(packed, blockOf(key, start + k));
      }
    }
    if (writesBitmap && start < params.count) {
      output[HEADER_WORDS + start / ITEMS] = mask;
    }
    scanTile(packed, place);

    var rank = 0u;
    for (var block = 0u; block < MAX_BLOCKS; block++) {
      rank += wg_base[block] + scanned(row, block);
    }
    for (; mask > 0u; mask &= mask - 1u) {
      let i = start + countTrailingZeros(mask);
      let bits = sanitise(featureBits(i), survivor.limit);
      let block = blockOf(rankKey(bits, i, survivor), i);
      let slot = block * perBlock + wg_base[block] + scanned(row, block);
      wg_scan[row + (block >> 1u)] += 1u << ((block & 1u) * 16u);
      let fixed = fixedPoint(bits & ~SIGN, exponent);
      grouped[slot] = fixed;
      tags[rank] = i | (block << 24u) | ((bits >> 31u) << 28u);
      rank++;
      if (params.integerMode == 1u) {
        let lo = selection.blocks[block].lo;
        let hi = selection.blocks[block].hi;
        if (hi > lo) {
          atomicAdd(&selection.codes[block * 256u + codeOf(fixed, lo, hi, 8u)], 1u);
        }
      }
    }
    workgroupBarrier();
  }
}
