// Mean, spread and covariance of the channels of a cut over real features.
import type { View3 } from '../codec/profile.ts';

export interface ChannelStatistics {
  means: Float64Array;
  /** Standard deviations, none below a fiftieth of their root mean square: a dead channel can still be disturbed. */
  deviations: Float64Array;
  /** C × C, row-major. */
  covariance: Float64Array;
  /** Largest magnitude of any element. */
  largest: number;
}

/** So many positions per channel say enough about a covariance. */
const POSITIONS_PER_CHANNEL = 40;
/** Weak channels count as at least this share of the average deviation. */
const DEVIATION_FLOOR = 0.02;

/** @param features at least one; [P, H, W] each, P being the channels */
export function channelStatistics(features: readonly Float32Array[], view: View3): ChannelStatistics {
  const { planes } = view;
  const area = view.rows * view.columns;
  const means = new Float64Array(planes);
  let largest = 0;
  for (const feature of features) {
    for (let c = 0; c < planes; c++) {
      let sum = 0;
      for (let i = c * area; i < (c + 1) * area; i++) {
        const x = feature[i]!;
        sum += x;
        if (x > largest) largest = x;
        else if (-x > largest) largest = -x;
      }
      means[c]! += sum / (area * features.length);
    }
  }
  const covariance = covarianceOf(features, planes, area, means);
  const variances = Float64Array.from(means, (_, c) => covariance[c * planes + c]!);
  const typical = Math.sqrt(variances.reduce((a, b) => a + b, 0) / planes);
  const floor = DEVIATION_FLOOR * typical || 1;
  return { means, deviations: variances.map((x) => Math.max(floor, Math.sqrt(x))), covariance, largest };
}

/** Over evenly strewn positions of all features. */
function covarianceOf(
  features: readonly Float32Array[],
  planes: number,
  area: number,
  means: Float64Array,
): Float64Array {
  const total = features.length * area;
  const stride = Math.max(1, Math.floor(total / Math.max(20_000, POSITIONS_PER_CHANNEL * planes)));
  const covariance = new Float64Array(planes * planes);
  const column = new Float64Array(planes);
  let count = 0;
  // A step prime to the width would do as well; an odd one does not keep to the same columns.
  for (let at = 0; at < total; at += stride | 1) {
    const feature = features[Math.floor(at / area)]!;
    const i = at % area;
    for (let c = 0; c < planes; c++) column[c] = feature[c * area + i]! - means[c]!;
    for (let a = 0; a < planes; a++) {
      const x = column[a]!;
      if (x === 0) continue;
      const row = a * planes;
      for (let b = 0; b <= a; b++) covariance[row + b]! += x * column[b]!;
    }
    count++;
  }
  for (let a = 0; a < planes; a++) {
    for (let b = 0; b <= a; b++) {
      const value = covariance[a * planes + b]! / count;
      covariance[a * planes + b] = value;
      covariance[b * planes + a] = value;
    }
  }
  return covariance;
}
