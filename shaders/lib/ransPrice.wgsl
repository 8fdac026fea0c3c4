// The prices of FORMAT.md ("Choice of N"): the logarithm, and the estimate for one width of the matrix. Whole numbers
// only; equal to codec/reference/columnModel.ts in every bit.

const LANE_BITS = 48u;
/** The estimate counts in sixteenths. */
const FRACTION = 16u;

/** log2(x)·4096 for x > 0, by squaring its 16 top bits twelve times. */
fn log2Q12(x: u32) -> u32 {
  let whole = firstLeadingBit(x);
  var mantissa = (x << (31u - whole)) >> 16u;
  var result = whole;
  for (var digit = 0u; digit < 12u; digit++) {
    let square = mantissa * mantissa;
    let carry = square >> 31u;
    mantissa = square >> (15u + carry);
    result = 2u * result + carry;
  }
  return result;
}

/** weight·a/b for a ≤ b, by a ratio of 16 bits. */
fn scaledWeight(weight: u32, a: u32, b: u32) -> u32 {
  let shift = 16u - min(16u, countLeadingZeros(b));
  return (weight * (((a >> shift) << 16u) / (b >> shift))) >> 16u;
}

fn alphabetOf(columns: u32) -> u32 {
  return max(1u << params.bits, columns + 1u);
}

/** L for a number of symbols. */
fn lanesFor(symbols: u32) -> u32 {
  if (params.lanes > 0u) {
    return params.lanes;
  }
  if (symbols < 8192u) {
    return 1u;
  }
  return min(1024u, 1u << firstLeadingBit(symbols >> 12u));
}

struct Estimate {
  length: u32,
  informed: Wide,
  listed: u32,
}

/** What one symbol that occurs `count`/16 times adds. */
fn termOf(count: u32) -> Estimate {
  let few = min(count, 4096u);
  return Estimate(
    count,
    wideProduct(count, log2Q12(max(count, FRACTION))),
    (17u * few + 7u) / (few + 8u),
  );
}

fn plus(a: Estimate, b: Estimate) -> Estimate {
  return Estimate(a.length + b.length, wideSum(a.informed, b.informed), a.listed + b.listed);
}

/** Adds a symbol with its share of each of the three parts of D; `column` is what a mere column adds. */
fn addSymbol(sum: Estimate, symbol: u32, columns: u32, column: Estimate, rowShare: u32) -> Estimate {
  var others = rowShare;
  if (symbol < (1u << params.bits)) {
    others += FRACTION * atomicLoad(&state.values[symbol]);
  }
  let isColumn = symbol < columns;
  if (others > 0u) {
    return plus(sum, termOf(others + select(0u, column.length, isColumn)));
  }
  if (isColumn) {
    return plus(sum, column); // as most symbols of wide matrices: no logarithm
  }
  return sum;
}

/** floor(rows·probability/4096) without leaving 32 bits; probability ≤ 65535. */
fn rowShareOf(rows: u32, weight: u32, weights: u32) -> u32 {
  if (weight == 0u) {
    return 0u;
  }
  let probability = (weight * 65535u) / weights;
  return ((rows >> 8u) * probability + (((rows & 255u) * probability) >> 8u)) >> 4u;
}

/** In 1/65536 bits. `columns` divides T, and `present` is above 0. */
fn estimatedPrice(columns: u32, present: u32) -> Wide {
  let rows = params.count / columns;
  let absent = params.count - present;
  let alphabet = alphabetOf(columns);
  let column = termOf((FRACTION * present) / columns);
  let mode = min(columns, ((columns + 1u) * present) / params.count);

  var weights = 0u;
  var weight = 65535u;
  for (var k = mode; k <= columns && weight > 0u; k++) {
    weights += weight;
    weight = scaledWeight(weight, (columns - k) * present, max(1u, (k + 1u) * absent));
  }
  weight = 65535u;
  for (var k = mode; k > 0u && weight > 0u; k--) {
    weight = scaledWeight(weight, k * absent, (columns - k + 1u) * present);
    weights += weight;
  }

  var sum = Estimate(0u, Wide(0u, 0u), 0u);
  weight = 65535u;
  for (var k = mode; k < alphabet; k++) {
    sum = addSymbol(sum, k, columns, column, rowShareOf(rows, weight, weights));
    if (weight > 0u && k < columns) {
      weight = scaledWeight(weight, (columns - k) * present, max(1u, (k + 1u) * absent));
    } else {
      weight = 0u;
    }
  }
  weight = 65535u;
  for (var k = mode; k > 0u; k--) {
    if (weight > 0u) {
      weight = scaledWeight(weight, k * absent, (columns - k + 1u) * present);
    }
    sum = addSymbol(sum, k - 1u, columns, column, rowShareOf(rows, weight, weights));
  }

  let lanes = lanesFor(2u * present + rows);
  let side = FRACTION * (8u * ((alphabet + 7u) / 8u) + LANE_BITS * lanes) + 12u * sum.listed;
  let entropy = wideDifference(wideProduct(sum.length, log2Q12(sum.length)), sum.informed);
  return wideSum(entropy, wideProduct(4096u, side));
}
