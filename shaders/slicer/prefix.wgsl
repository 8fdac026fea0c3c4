// Pass 5 of the SLICER encoder, a single workgroup. Turns the tile counts into prefix sums, finds the index at which
// the ties of each threshold change sides, and from both the first place of every tile in every block. It ends with
// what needs only thresholds and maxima: E, and lo and hi of every block (the fixed point is monotone in the key).

const COLUMNS = 32u;

var<workgroup> wg_chunk: array<u32, WORKGROUP>;
var<workgroup> wg_cut: array<u32, 16>;
/** Per rank: tile in which its ties change sides, and how many ties of that tile lie above. */
var<workgroup> wg_cutTile: array<u32, 16>;
var<workgroup> wg_cutTies: array<u32, 16>;
var<workgroup> wg_maxKey: u32;

fn threshold(rank: u32) -> u32 {
  return selection.levels[2].prefix[selection.levels[2].slot[rank]];
}

fn ties(rank: u32) -> u32 {
  return selection.levels[2].population[selection.levels[2].slot[rank]];
}

/** Exclusive prefix sums of the 32 columns of `counts` over the tiles; notes where ties run out on the way. */
fn scanColumns(lane: u32) {
  let column = lane % COLUMNS;
  let chunk = lane / COLUMNS;
  let rows = (params.tiles + WORKGROUP / COLUMNS - 1u) / (WORKGROUP / COLUMNS);
  let start = min(chunk * rows, params.tiles);
  let end = min(start + rows, params.tiles);
  var sum = 0u;
  for (var tile = start; tile < end; tile++) {
    sum += counts[tile * COUNT_ROW + column];
  }
  wg_chunk[lane] = sum;
  workgroupBarrier();
  sum = 0u;
  for (var before = column; before < lane; before += COLUMNS) {
    sum += wg_chunk[before];
  }
  for (var tile = start; tile < end; tile++) {
    let held = counts[tile * COUNT_ROW + column];
    counts[tile * COUNT_ROW + column] = sum;
    if (column >= TIE_COLUMN && held > 0u) {
      for (var rank = 0u; rank < selection.levels[2].ranks; rank++) {
        let taken = selection.levels[2].taken[rank];
        if (selection.levels[2].slot[rank] == column - TIE_COLUMN && taken > sum && taken <= sum + held) {
          wg_cutTile[rank] = tile;
          wg_cutTies[rank] = taken - sum;
        }
      }
    }
    sum += held;
  }
}

/** Where, within its tile, the last tie above each rank lies. 16 lanes per rank; most ranks have nothing to do. */
fn findCuts(lane: u32, survivor: Chosen) {
  let lanes = WORKGROUP / MAX_BLOCKS;
  let rank = lane / lanes;
  let part = lane % lanes;
  let isSplit = rank < selection.levels[2].ranks && selection.levels[2].taken[rank] < ties(rank);
  let span = tileSize() / lanes;
  let start = wg_cutTile[rank] * tileSize() + part * span;
  let end = min(start + span, params.count);
  let value = threshold(rank);
  var found = 0u;
  if (isSplit) {
    for (var i = start; i < end; i++) {
      let bits = sanitise(featureBits(i), survivor.limit);
      found += select(0u, 1u, rankKey(bits, i, survivor) == value);
    }
  }
  wg_chunk[lane] = found;
  workgroupBarrier();
  var before = 0u;
  for (var other = rank * lanes; other < lane; other++) {
    before += wg_chunk[other];
  }
  if (!isSplit && part == 0u) {
    wg_cut[rank] = NOWHERE;
  }
  let wanted = wg_cutTies[rank];
  if (isSplit && before < wanted && before + found >= wanted) {
    var seen = before;
    for (var i = start; i < end && seen < wanted; i++) {
      let bits = sanitise(featureBits(i), survivor.limit);
      if (rankKey(bits, i, survivor) == value) {
        seen++;
        wg_cut[rank] = i + 1u;
      }
    }
  }
}

/** How many of the first `count` ties of class `slot`, all ranked above `above`, fall into ranks start…end. */
fn tiesWithin(count: u32, above: u32, start: u32, end: u32) -> u32 {
  return max(min(above + count, end), start) - max(min(above, end), start);
}

/** First place, within block `block`, of every tile's members. */
fn placeTiles(lane: u32) {
  let block = lane % MAX_BLOCKS;
  let ranks = selection.levels[2].ranks;
  if (block >= ranks) {
    return;
  }
  let perBlock = selection.perBlock;
  let survivors = selection.survivors;
  let start = block * perBlock;
  let end = closingRank(block, perBlock, survivors);
  let lower = selection.levels[2].slot[block];
  let lowerAbove = end - selection.levels[2].taken[block];
  // The region between the thresholds of the two neighbouring ranks; when they are equal there is none.
  var upper = lower;
  var upperAbove = 0u;
  if (block > 0u) {
    upper = selection.levels[2].slot[block - 1u];
    upperAbove = start - selection.levels[2].taken[block - 1u];
  }
  let hasRegion = block == 0u || upper != lower;
  for (var tile = lane / MAX_BLOCKS; tile < params.tiles; tile += WORKGROUP / MAX_BLOCKS) {
    let row = tile * COUNT_ROW;
    var place = select(0u, counts[row + lower], hasRegion);
    place += tiesWithin(counts[row + TIE_COLUMN + lower], lowerAbove, start, end);
    if (block > 0u && upper != lower) {
      place += tiesWithin(counts[row + TIE_COLUMN + upper], upperAbove, start, end);
    }
    counts[row + OFFSET_COLUMN + block] = place;
  }
}

/** Largest key of a block: a tie left over from the threshold above, else the region's largest, else the threshold. */
fn largestKey(block: u32) -> u32 {
  let lower = selection.levels[2].slot[block];
  if (block > 0u) {
    let upper = selection.levels[2].slot[block - 1u];
    if (selection.levels[2].taken[block - 1u] < ties(block - 1u)) {
      return threshold(block - 1u);
    }
    if (upper == lower) {
      return threshold(block);
    }
  }
  return max(atomicLoad(&selection.regionMax[lower]), threshold(block));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
  let survivor = chosen;
  scanColumns(lane);
  storageBarrier();
  workgroupBarrier();
  findCuts(lane, survivor);
  placeTiles(lane);
  let ranks = selection.levels[2].ranks;
  if (lane == 0u) {
    wg_maxKey = 0u;
    if (ranks > 0u) {
      wg_maxKey = largestKey(0u);
    }
  }
  workgroupBarrier();

  let exponent = max(wg_maxKey >> 23u, 1u);
  if (lane < MAX_BLOCKS) {
    selection.cut[lane] = wg_cut[lane];
    var block = Block(0u, 0u, 0u);
    if (lane < ranks) {
      block.lo = fixedPoint(threshold(lane), exponent);
      block.hi = fixedPoint(largestKey(lane), exponent);
      block.size = closingRank(lane, selection.perBlock, selection.survivors) - lane * selection.perBlock;
    }
    selection.blocks[lane] = block;
  }
  if (lane == 0u) {
    selection.exponent = exponent;
    selection.maxFixed = fixedPoint(wg_maxKey, exponent);
    let last = max(ranks, 1u) - 1u;
    let lowestNegativeTie = ~atomicLoad(&selection.negativeTie);
    let hasNegative = atomicLoad(&selection.negatives) > 0u || lowestNegativeTie < wg_cut[last];
    selection.isSigned = select(0u, FLAG_SIGNED, hasNegative && ranks > 0u);
    if (PHASE == PHASE_SURVIVE) {
      chosen.key = select(threshold(last), NOWHERE, ranks == 0u);
      chosen.cut = select(wg_cut[last], 0u, ranks == 0u);
    }
  }
}
