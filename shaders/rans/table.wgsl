// Pass 5 of the `rans` encoder, one workgroup: the cheapest of the candidates by exact price, the frequency table of its
// symbols, the lanes, and the header that the host reads.

/** Per candidate: Σ h·lg h in three limbs of 16 bits, and the number of symbols that occur. */
var<workgroup> wg_price: array<atomic<u32>, 12>;
var<workgroup> wg_columns: u32;
var<workgroup> wg_candidate: u32;
/** Of the scaled counts: their sum, and the largest with its symbol. Of the frequencies: their sum. */
var<workgroup> wg_total: atomic<u32>;
var<workgroup> wg_largest: atomic<u32>;
var<workgroup> wg_given: atomic<u32>;

fn countOf(candidate: u32, symbol: u32) -> u32 {
  return atomicLoad(&state.values[symbol]) + atomicLoad(&state.bins[candidate * SYMBOLS + symbol]);
}

fn symbolsIn(columns: u32) -> u32 {
  return 2u * state.present + params.count / columns;
}

/** In 1/4096 bits. */
fn exactPrice(candidate: u32, columns: u32) -> Wide {
  let limb = candidate * 4u;
  let low = atomicLoad(&wg_price[limb]);
  let middle = atomicLoad(&wg_price[limb + 1u]);
  let high = atomicLoad(&wg_price[limb + 2u]);
  // low + middle·2^16 + high·2^32
  let informed = wideSum(Wide(high, low), Wide(middle >> 16u, middle << 16u));
  let length = symbolsIn(columns);
  let others = atomicLoad(&wg_price[limb + 3u]) - 1u;
  let tableBytes = (alphabetOf(columns) + 7u) / 8u + (12u * others + 7u) / 8u;
  let side = 8u * tableBytes + LANE_BITS * lanesFor(length);
  let entropy = wideDifference(wideProduct(length, log2Q12(length)), informed);
  return wideSum(entropy, wideProduct(4096u, side));
}

fn chooseCandidate() {
  var best = 0u;
  var chosen = 0u;
  var price = Wide(0xffffffffu, 0xffffffffu);
  for (var candidate = 0u; candidate < CANDIDATES; candidate++) {
    let columns = state.candidates[candidate];
    if (columns == 0u) {
      continue;
    }
    let own = exactPrice(candidate, columns);
    if (wideLess(own, price)) {
      best = columns;
      chosen = candidate;
      price = own;
    }
  }
  wg_columns = best;
  wg_candidate = chosen;
  state.columns = best;
}

/** A count with at most 19 bits, at least 1 for what occurs. */
fn scaledCount(symbol: u32, shift: u32) -> u32 {
  return (countOf(wg_candidate, symbol) + (1u << shift) - 1u) >> shift;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) index: u32) {
  for (var bin = index; bin < CANDIDATES * SYMBOLS; bin += WORKGROUP) {
    let candidate = bin / SYMBOLS;
    let count = countOf(candidate, bin % SYMBOLS);
    if (state.candidates[candidate] > 0u && count > 0u) {
      let informed = wideProduct(count, log2Q12(count));
      atomicAdd(&wg_price[candidate * 4u], informed.lo & 0xffffu);
      atomicAdd(&wg_price[candidate * 4u + 1u], informed.lo >> 16u);
      atomicAdd(&wg_price[candidate * 4u + 2u], informed.hi);
      atomicAdd(&wg_price[candidate * 4u + 3u], 1u);
    }
  }
  workgroupBarrier();
  if (index == 0u) {
    chooseCandidate();
  }
  workgroupBarrier();
  let columns = wg_columns;
  let isCoded = columns > 0u;
  let length = select(0u, symbolsIn(max(1u, columns)), isCoded);
  let bits = 32u - countLeadingZeros(length);
  let shift = max(bits, 19u) - 19u;
  for (var symbol = index; symbol < SYMBOLS; symbol += WORKGROUP) {
    let scaled = scaledCount(symbol, shift);
    if (isCoded && scaled > 0u) {
      atomicAdd(&wg_total, scaled);
      atomicMax(&wg_largest, (scaled << 8u) | (SYMBOLS - 1u - symbol)); // the lowest symbol on ties
    }
  }
  workgroupBarrier();
  let present = atomicLoad(&wg_price[wg_candidate * 4u + 3u]);
  for (var symbol = index; symbol < SYMBOLS; symbol += WORKGROUP) {
    let scaled = scaledCount(symbol, shift);
    var frequency = 0u;
    if (isCoded && scaled > 0u) {
      frequency = 1u + (scaled * (4096u - present)) / atomicLoad(&wg_total);
      atomicAdd(&wg_given, frequency);
    }
    header.frequencies[symbol] = frequency;
  }
  workgroupBarrier();
  storageBarrier();
  if (index == 0u) {
    writeHeader(columns);
    if (isCoded) {
      let largest = SYMBOLS - 1u - (atomicLoad(&wg_largest) & 0xffu);
      header.frequencies[largest] += 4096u - atomicLoad(&wg_given);
      var sum = 0u;
      for (var symbol = 0u; symbol < SYMBOLS; symbol++) {
        let frequency = header.frequencies[symbol];
        if (frequency > 0u) {
          state.steps[symbol] = packStep(frequency, sum);
          sum += frequency;
        }
      }
    }
  }
  let count = select(0u, lanesFor(length), isCoded);
  let words = ((length + count - 1u) / max(1u, count) + 1u) / 2u;
  for (var lane = index; lane < count; lane += WORKGROUP) {
    lanes.lane[lane] = Lane(lane, length, count, (lane + 1u) * words, 0u, 0u);
  }
  if (index == 0u) {
    lanes.count = count;
  }
}

fn writeHeader(columns: u32) {
  let q = quantiser();
  header.flags = q.flags;
  header.constBits = q.constBits;
  header.exponent = q.exponent;
  header.below = q.below;
  header.above = q.above;
  header.columns = columns;
  header.present = state.present;
  header.reserved = 0u;
}
