// How the encoders of family `rans` choose K, the width of the matrix (FORMAT.md, "Choice of N"): the best divisor by the
// estimate and its two neighbours compete by exact price. Decoders read the choice and need none of this.
import { estimatedPrice, type FeatureStatistics } from './columnModel.ts';
import { MAX_COLUMNS } from './ransLayout.ts';

/** Divisors of `total` (above 0) that K may be, rising. */
function columnDivisors(total: number): number[] {
  const divisors: number[] = [];
  for (let k = 1; k <= Math.min(total, MAX_COLUMNS); k++) if (total % k === 0) divisors.push(k);
  return divisors;
}

/**
 * The divisors that are worth their exact price, rising: one to three.
 */
function columnCandidates(feature: FeatureStatistics): number[] {
  const divisors = columnDivisors(feature.total);
  const best = cheapest(divisors, (k) => estimatedPrice(feature, k));
  return divisors.slice(Math.max(0, best - 1), best + 2);
}

/** K. `exact` gives the exact price of a width. */
export function chooseColumns(feature: FeatureStatistics, exact: (columns: number) => number): number {
  const candidates = columnCandidates(feature);
  return candidates[cheapest(candidates, exact)]!;
}

/** What the choice costs beside the best of all divisors. */
export interface ColumnRegret {
  chosen: number;
  optimum: number;
  /** Exact price of the optimum, and how much dearer the choice is, in bits. */
  optimumBits: number;
  regretBits: number;
}

/** Compares the choice with the exhaustive search that it saves; for tests and benchmarks. */
export function columnRegret(feature: FeatureStatistics, exact: (columns: number) => number): ColumnRegret {
  const chosen = chooseColumns(feature, exact);
  const divisors = columnDivisors(feature.total);
  const optimum = divisors[cheapest(divisors, exact)]!;
  const optimumBits = exact(optimum) / 4096;
  return { chosen, optimum, optimumBits, regretBits: exact(chosen) / 4096 - optimumBits };
}

/** Index of the smallest price; the first of equal ones. */
function cheapest(divisors: readonly number[], price: (columns: number) => number): number {
  const prices = divisors.map(price);
  return prices.indexOf(Math.min(...prices));
}
