// The channel transform of a profile: a Karhunen–Loève transform in the metric of the tail, then its matrices as whole
// numbers that keep FORMAT.md's limits.
import type { CodecProfile } from '../codec/profile.ts';
import { eigenSymmetric } from './eigen.ts';
import { cholesky, multiply, solveTransposed, transpose } from './matrix.ts';
import { type Recipe, RIDGE } from './recipes.ts';

/** y = A·x and x = B·y in floating point; rows of A (R × C) in falling variance. */
export interface ChannelTransform {
  analysis: Float64Array;
  /** C × R */
  synthesis: Float64Array;
}

/**
 * Decorrelates x in the metric M = L·Lᵗ: A = U·Lᵗ and B = L⁻ᵗ·Uᵗ, rows of U being the eigenvectors of Lᵗ·Cov·L. Equal errors
 * of y then hurt the answer equally.
 *
 * @param covariance C × C
 * @param fisher C × C, the tail's sensitivity; not needed for `identity`
 */
export function channelTransform(
  metric: Exclude<Recipe['metric'], 'none'>,
  covariance: Float64Array,
  fisher: Float64Array,
  channels: number,
): ChannelTransform {
  const n = channels;
  if (metric === 'identity') {
    const { vectors } = eigenSymmetric(covariance, n);
    return { analysis: vectors, synthesis: transpose(vectors, n, n) };
  }
  const lower = cholesky(metricOf(metric, fisher, n), n);
  const upper = transpose(lower, n, n);
  const { vectors } = eigenSymmetric(multiply(multiply(upper, covariance, n, n, n), lower, n, n, n), n);
  return {
    analysis: multiply(vectors, upper, n, n, n),
    synthesis: solveTransposed(lower, transpose(vectors, n, n), n, n),
  };
}

/** The Fisher metric, its mean diagonal 1, shrunk and with its ridge. */
function metricOf(metric: 'shrunk' | 'fisher', fisher: Float64Array, n: number): Float64Array {
  let trace = 0;
  for (let c = 0; c < n; c++) trace += fisher[c * n + c]!;
  const scale = trace > 0 ? n / trace : 0;
  const keep = metric === 'shrunk' ? 0.5 : 1;
  const result = fisher.map((x) => x * scale * keep);
  const ridge = scale > 0 ? RIDGE[metric] : 1; // a tail that nothing moves
  for (let c = 0; c < n; c++) result[c * n + c] = fisher[c * n + c]! * scale + ridge;
  return result;
}

/** The transform with y scaled by `gain`, its first `rank` rows, in whole numbers. */
export function integerTransform(
  { analysis, synthesis }: ChannelTransform,
  gain: number,
  rank: number,
  channels: number,
): NonNullable<CodecProfile['transform']> {
  const rows = analysis.subarray(0, rank * channels).map((x) => x * gain);
  const columns = new Float64Array(channels * rank);
  for (let c = 0; c < channels; c++)
    for (let r = 0; r < rank; r++) columns[c * rank + r] = synthesis[c * channels + r]! / gain;
  const [shiftA, integerA] = largestShift(rows, rank, 65000);
  const [shiftB, integerB] = largestShift(columns, channels, 32000);
  return { shiftA, shiftB, analysis: integerA, synthesis: integerB };
}

/** As many bits after the point as row sums and 16-bit entries allow. */
function largestShift(matrix: Float64Array, rows: number, limit: number): [number, Int16Array] {
  for (let shift = 16; shift > 0; shift--) {
    const scaled = matrix.map((x) => Math.round(x * 2 ** shift));
    if (fits(scaled, rows, limit)) return [shift, Int16Array.from(scaled)];
  }
  // Entries that do not fit even so are far from any that a gain makes; clamped, they stay a valid profile.
  const columns = matrix.length / rows;
  const most = Math.min(32767, Math.floor(limit / columns));
  return [0, Int16Array.from(matrix, (x) => Math.max(-most, Math.min(most, Math.round(x))))];
}

function fits(matrix: Float64Array, rows: number, limit: number): boolean {
  const columns = matrix.length / rows;
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      const magnitude = Math.abs(matrix[i]!);
      if (magnitude > 32767) return false;
      sum += magnitude;
    }
    if (sum > limit) return false;
  }
  return true;
}
