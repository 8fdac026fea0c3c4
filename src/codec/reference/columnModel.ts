// What a stream of family `rans` will cost for a given width of the matrix: an estimate from few numbers, and the price
// of a histogram. Whole numbers below 2^53 only, each step of which a GPU can do in 32 bits, so that all encoders agree.
import { alphabetOf, symbolCount } from './ransLayout.ts';
import { sentTableBytes } from './ransTable.ts';

/** What the estimate looks at. */
export interface FeatureStatistics {
  /** Q */
  bits: number;
  /** T */
  total: number;
  /** S */
  present: number;
  /** How often each code occurs, the background counted 0 times; 2^Q entries. */
  values: ArrayLike<number>;
  /** Lanes for a number of symbols. */
  lanesFor(symbols: number): number;
}

/** A state of 32 bits and a count of one or two bytes. */
const LANE_BITS = 48;
/** The estimate counts in sixteenths of a symbol. */
const FRACTION = 16;

/** log2(x)·4096, at most 2 too low, by squaring the 16 top bits of x twelve times; 1 ≤ x < 2^32. */
export function log2Q12(x: number): number {
  const whole = 31 - Math.clz32(x);
  let mantissa = whole >= 15 ? x >>> (whole - 15) : x << (15 - whole);
  let result = whole;
  for (let digit = 0; digit < 12; digit++) {
    const square = Math.imul(mantissa, mantissa);
    const carry = square >>> 31;
    mantissa = square >>> (15 + carry);
    result = 2 * result + carry;
  }
  return result;
}

/** The price of D, its table and its lanes from the exact histogram, in 1/4096 bits. */
export function exactPrice(counts: ArrayLike<number>, lanes: number): number {
  let length = 0;
  let informed = 0;
  let present = 0;
  for (let s = 0; s < counts.length; s++) {
    const count = counts[s]!;
    if (count === 0) continue;
    length += count;
    informed += count * log2Q12(count);
    present++;
  }
  const side = 8 * sentTableBytes(counts.length, present) + LANE_BITS * lanes;
  return length * log2Q12(length) - informed + 4096 * side;
}

/** The estimated price at K = `columns`, in 1/65536 bits: columns uniform, row counts binomial. */
export function estimatedPrice(feature: FeatureStatistics, columns: number): number {
  const { bits, total, present, values, lanesFor } = feature;
  const rows = total / columns;
  const alphabet = alphabetOf(bits, columns);
  const counts = new Float64Array(alphabet);
  for (let s = 0; s < 2 ** bits; s++) counts[s] = FRACTION * values[s]!;
  const each = Math.floor((FRACTION * present) / columns);
  for (let column = 0; column < columns; column++) counts[column]! += each;
  const weights = binomialWeights(columns, present, total);
  const sum = weights.reduce((a, b) => a + b, 0);
  weights.forEach((weight, k) => {
    const probability = Math.floor((weight * 65535) / sum);
    counts[k]! += Math.floor((rows * probability) / (65536 / FRACTION));
  });
  let length = 0;
  let informed = 0;
  let listed = 0;
  counts.forEach((count) => {
    length += count;
    informed += count * log2Q12(Math.max(count, FRACTION)); // what occurs at all occurs once
    listed += chanceToOccur(count);
  });
  const lanes = lanesFor(symbolCount({ present, rows }));
  const side = FRACTION * (8 * Math.ceil(alphabet / 8) + LANE_BITS * lanes) + 12 * listed;
  return length * log2Q12(length) - informed + 4096 * side;
}

/** In sixteenths, that a symbol expected count/16 times is in the table; 1 - 1/e^(count/16), roughly. */
function chanceToOccur(count: number): number {
  const few = Math.min(count, 4096);
  return Math.floor((17 * few + 7) / (few + 8));
}

/**
 * Weights of 0…n successes with probability present/total each, by the recurrence from the mode (65535) outwards.
 * (n + 1)·total has to be below 2^32.
 */
export function binomialWeights(n: number, present: number, total: number): Uint32Array {
  const weights = new Uint32Array(n + 1);
  const absent = total - present;
  const mode = Math.min(n, Math.floor(((n + 1) * present) / total));
  weights[mode] = 65535;
  for (let k = mode; k < n; k++) weights[k + 1] = scaled(weights[k]!, (n - k) * present, (k + 1) * absent);
  for (let k = mode; k > 0; k--) weights[k - 1] = scaled(weights[k]!, k * absent, (n - k + 1) * present);
  return weights;
}

/** weight·a/b for a ≤ b, by a ratio of 16 bits. */
function scaled(weight: number, a: number, b: number): number {
  const shift = Math.max(0, 32 - Math.clz32(b) - 16);
  const ratio = Math.floor((2 ** 16 * (a >>> shift)) / (b >>> shift));
  return Math.floor((weight * ratio) / 65536);
}
