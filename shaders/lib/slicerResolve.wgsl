// From a level's histogram to the next digit of every order statistic. Each workgroup of the following pass does this
// anew at its start: reading a few thousand bins from cache costs less than the three single-workgroup dispatches
// it saves, and the result need not travel between workgroups. Workgroup 0 keeps a copy for the passes after that.

var<workgroup> wg_segment: array<u32, 256>;
var<workgroup> wg_total: atomic<u32>;
var<workgroup> wg_slot: array<u32, 16>;
var<workgroup> wg_taken: array<u32, 16>;
var<workgroup> wg_value: array<u32, 16>;
var<workgroup> wg_found: array<u32, 16>;
var<workgroup> wg_population: array<u32, 16>;
var<workgroup> wg_ranks: u32;
var<workgroup> wg_slots: u32;

/** Level 1 cannot place infinities, because what they become is known only when all elements were seen. */
struct Infinities {
  plusKey: u32,
  minusKey: u32,
  plus: u32,
  minus: u32,
}

fn infinities(limit: u32) -> Infinities {
  let minusKey = select(keyOf(SIGN | limit), 0u, limit == 0u);
  return Infinities(
    limit,
    minusKey,
    select(atomicLoad(&selection.plusInfinities), 0u, limit == 0u),
    select(atomicLoad(&selection.minusInfinities), 0u, minusKey == 0u),
  );
}

fn histogramBase(level: u32) -> u32 {
  return select(FIRST_BINS + (level - 2u) * MAX_BLOCKS * BINS, 0u, level == 1u);
}

/** Bin `bin` of the level, slots one after the other. */
fn population(level: u32, bin: u32, extra: Infinities) -> u32 {
  var held = atomicLoad(&selection.histogram[histogramBase(level) + bin]);
  if (level == 1u) {
    held += select(0u, extra.plus, bin == extra.plusKey >> 20u);
    held += select(0u, extra.minus, bin == extra.minusKey >> 20u);
  }
  return held;
}

/** First level only: flags, S, n and the ranks to look for, from the statistics. */
fn planRanks(limit: u32, extra: Infinities, isFirst: bool) {
  var keep = chosen.survivors;
  if (PHASE != PHASE_SPLIT) {
    let plus = atomicLoad(&selection.plusInfinities);
    let minus = atomicLoad(&selection.minusInfinities);
    var top = atomicLoad(&selection.maxBits);
    var bottom = ~atomicLoad(&selection.maxComplement);
    if (plus > 0u) {
      top = max(top, limit);
      bottom = min(bottom, limit);
    }
    if (minus > 0u) {
      top = max(top, sanitise(SIGN | INFINITY_BITS, limit));
      bottom = min(bottom, sanitise(SIGN | INFINITY_BITS, limit));
    }
    let isConst = top == bottom;
    keep = select(params.limit, 0u, isConst);
    if (isFirst) {
      chosen.limit = limit;
      chosen.constBits = top;
      chosen.flags = select(0u, FLAG_CONST, isConst)
        | select(0u, FLAG_SANITISED, atomicLoad(&selection.nans) + plus + minus > 0u);
    }
  }
  let survivors = min(keep, atomicLoad(&wg_total));
  let perBlock = (survivors + params.ranks - 1u) / params.ranks;
  wg_ranks = select((survivors + perBlock - 1u) / max(perBlock, 1u), 0u, survivors == 0u);
  for (var rank = 0u; rank < MAX_BLOCKS; rank++) {
    wg_prefix[rank] = 0u;
    wg_slot[rank] = 0u;
    wg_taken[rank] = closingRank(rank, perBlock, survivors);
  }
  if (isFirst) {
    selection.survivors = survivors;
    selection.perBlock = perBlock;
    if (PHASE != PHASE_SPLIT) {
      chosen.survivors = survivors;
    }
  }
}

/** Walks down from the top of the rank's slot to the bin that holds the rank; extends its prefix by that bin. */
fn findBin(level: u32, rank: u32, segments: u32, segmentBins: u32, extra: Infinities) {
  let slot = wg_slot[rank];
  var left = wg_taken[rank];
  var segment = (slot + 1u) * segments - 1u;
  if (level == 1u) {
    segment = extra.plusKey >> 23u; // no key is larger than the limit's; a segment is one exponent
  }
  while (segment > slot * segments && wg_segment[segment] < left) {
    left -= wg_segment[segment];
    segment--;
  }
  var bin = (segment + 1u) * segmentBins - 1u;
  var held = population(level, bin, extra);
  while (bin > segment * segmentBins && held < left) {
    left -= held;
    bin--;
    held = population(level, bin, extra);
  }
  let bits = select(10u, 11u, level == 1u);
  wg_value[rank] = (wg_prefix[slot] << bits) | (bin & ((1u << bits) - 1u));
  wg_taken[rank] = left;
  wg_found[rank] = held;
}

/** Ranks that share a value share a slot of the next level. */
fn shareSlots() {
  var slots = 0u;
  for (var rank = 0u; rank < MAX_BLOCKS; rank++) {
    if (rank < wg_ranks) {
      let value = wg_value[rank];
      if (rank == 0u || value != wg_value[max(rank, 1u) - 1u]) {
        wg_prefix[slots] = value;
        wg_population[slots] = wg_found[rank];
        slots++;
      }
      wg_slot[rank] = slots - 1u;
    }
  }
  wg_slots = slots;
  for (; slots < MAX_BLOCKS; slots++) {
    wg_prefix[slots] = 0u;
    wg_population[slots] = 0u;
  }
}

/** Resolves `level` for the whole workgroup; afterwards wg_prefix holds the prefixes to look at next. */
fn resolveLevel(level: u32, lane: u32, limit: u32, isFirst: bool) {
  let extra = infinities(limit);
  let segments = select(16u, 256u, level == 1u);
  let segmentBins = select(BINS / 16u, FIRST_BINS / 256u, level == 1u);
  var slots = 1u;
  if (level > 1u) {
    slots = selection.levels[level - 2u].slots;
    if (lane == 0u) {
      wg_ranks = selection.levels[level - 2u].ranks;
    }
    if (lane < MAX_BLOCKS) {
      wg_prefix[lane] = selection.levels[level - 2u].prefix[lane];
      wg_slot[lane] = selection.levels[level - 2u].slot[lane];
      wg_taken[lane] = selection.levels[level - 2u].taken[lane];
    }
  }
  for (var segment = lane; segment < slots * segments; segment += WORKGROUP) {
    var sum = 0u;
    for (var bin = 0u; bin < segmentBins; bin++) {
      sum += population(level, segment * segmentBins + bin, extra);
    }
    wg_segment[segment] = sum;
    atomicAdd(&wg_total, sum);
  }
  workgroupBarrier();
  if (level == 1u && lane == 0u) {
    planRanks(limit, extra, isFirst);
  }
  workgroupBarrier();
  if (lane < wg_ranks) {
    findBin(level, lane, segments, segmentBins, extra);
  }
  workgroupBarrier();
  if (lane == 0u) {
    shareSlots();
  }
  workgroupBarrier();
  if (isFirst && lane < MAX_BLOCKS) {
    selection.levels[level - 1u].prefix[lane] = wg_prefix[lane];
    selection.levels[level - 1u].population[lane] = wg_population[lane];
    selection.levels[level - 1u].slot[lane] = wg_slot[lane];
    selection.levels[level - 1u].taken[lane] = wg_taken[lane];
    if (lane == 0u) {
      selection.levels[level - 1u].ranks = wg_ranks;
      selection.levels[level - 1u].slots = wg_slots;
    }
  }
}
