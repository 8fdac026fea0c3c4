// Draft: a profile without classes and tables, and the coefficients that it turns features into, in floating point: exact
// enough for statistics, which is all they are used for here.
import { type CodecProfile, type View3, viewOf } from '../codec/profile.ts';
import { transformBlocks } from './blocks.ts';
import type { ChannelStatistics } from './channelStatistics.ts';
import { type ChannelTransform, channelTransform, integerTransform } from './channelTransform.ts';
import type { Recipe } from './recipes.ts';
import type { Sensitivity } from './sensitivity.ts';

/** All of a profile that does not depend on how often which coefficient takes which value. */
export type Draft = Omit<CodecProfile, 'name' | 'classes' | 'tables' | 'step'>;

/** A cut as calibration sees it. */
export interface CutStatistics {
  shape: readonly number[];
  /** Feature maps that the profile is fitted to, [P, H, W] each. */
  features: readonly Float32Array[];
  channels: ChannelStatistics;
  sensitivity: Sensitivity;
  /** [bh, bw] of the block transform. */
  block: readonly [number, number];
}

/** Features that decide how large coefficients get. */
const GAIN_FEATURES = 16;
/** Magnitudes of y and of coefficients stay this far below the codec's limits of 2^16 and 2^17 on those features. */
const LARGEST_Y = 2 ** 15;
const LARGEST_COEFFICIENT = 2 ** 16;

export function draftProfile(recipe: Recipe, statistics: CutStatistics): Draft {
  const { shape, channels: stats, features, sensitivity } = statistics;
  const view = viewOf(shape);
  const block = recipe.blocks ? statistics.block : ([1, 1] as const);
  const exponent = exponentOf(stats.largest);
  const sample = features.slice(0, GAIN_FEATURES);
  const draft: Draft = {
    exponent,
    deadZone: recipe.deadZone,
    rho: [0, 0],
    channels: view.planes,
    rank: view.planes,
    block,
    map: recipe.contexts === 'classes' ? statistics.block : [1, 1],
    // Sparse features keep their zeros; neighbours of magnitude 0 are what their contexts live on.
    means: fixedMeans(recipe.contexts === 'neighbours' ? stats.means.map(() => 0) : stats.means, exponent),
    weights: Uint16Array.of(256),
  };
  const weighted: Draft = { ...draft, weights: weightsOf(draft.map, recipe, sensitivity) };
  if (recipe.metric === 'none') return withRoom(weighted, stats, recipe, view, sample);
  const transform = channelTransform(recipe.metric, stats.covariance, sensitivity.channels, view.planes);
  return withGain(weighted, transform, view, sample);
}

/** Biased exponent of the largest magnitude seen; the fixed point has room for twice as much. */
function exponentOf(largest: number): number {
  const bits = new Uint32Array(Float32Array.of(largest).buffer)[0]!;
  return Math.min(254, Math.max(1, bits >>> 23));
}

function fixedMeans(means: Float64Array, exponent: number): Int16Array {
  return Int16Array.from(means, (mean) =>
    Math.max(-16383, Math.min(16383, Math.round(mean / 2 ** (exponent - 139)))),
  );
}

/** Without a channel transform, only a larger unit keeps the sums of a block inside the codec's limits. */
function withRoom(
  draft: Draft,
  stats: ChannelStatistics,
  recipe: Recipe,
  view: View3,
  sample: readonly Float32Array[],
): Draft {
  const { coefficient } = largestOf(draft, view, sample);
  const extra = Math.max(0, Math.ceil(Math.log2(coefficient / LARGEST_COEFFICIENT)));
  if (extra === 0) return draft;
  const exponent = Math.min(254, draft.exponent + extra);
  const means = recipe.contexts === 'neighbours' ? draft.means : fixedMeans(stats.means, exponent);
  return { ...draft, exponent, means };
}

/** Scales y so that it uses the codec's range. */
function withGain(
  draft: Draft,
  transform: ChannelTransform,
  view: View3,
  sample: readonly Float32Array[],
): Draft {
  const rough = roughGain(transform, view.planes);
  const trial = { ...draft, transform: integerTransform(transform, rough, view.planes, view.planes) };
  const { y, coefficient } = largestOf(trial, view, sample);
  const room = Math.min(LARGEST_Y / (y || 1), LARGEST_COEFFICIENT / (coefficient || 1));
  return {
    ...draft,
    transform: integerTransform(transform, rough * room, view.planes, view.planes),
  };
}

/** Makes rows of A about as long as those of an orthonormal transform. */
function roughGain({ analysis }: ChannelTransform, n: number): number {
  const squared = analysis.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(n / (squared || 1));
}

function largestOf(draft: Draft, view: View3, sample: readonly Float32Array[]) {
  let y = 0;
  let coefficient = 0;
  for (const feature of sample) {
    const values = channelCoefficients(draft, view, feature);
    for (const value of values) if (Math.abs(value) > y) y = Math.abs(value);
    transformBlocks(values, view, draft.block);
    for (const value of values) if (Math.abs(value) > coefficient) coefficient = Math.abs(value);
  }
  return { y, coefficient };
}

/** Coefficients of a feature in fixed-point units: [R, H, W]. */
export function coefficientsOf(draft: Draft, view: View3, feature: Float32Array): Float32Array {
  const values = channelCoefficients(draft, view, feature);
  transformBlocks(values, view, draft.block);
  return values;
}

function channelCoefficients(
  { exponent, means, transform, rank, channels }: Draft,
  view: View3,
  feature: Float32Array,
): Float32Array {
  const area = view.rows * view.columns;
  const unit = 2 ** (exponent - 139);
  const centred = new Float32Array(feature.length);
  for (let c = 0; c < channels; c++) {
    const mean = means[c]!;
    for (let i = c * area; i < (c + 1) * area; i++) centred[i] = feature[i]! / unit - mean;
  }
  if (!transform) return centred;
  const y = new Float32Array(rank * area);
  const scale = 2 ** -transform.shiftA;
  for (let r = 0; r < rank; r++) {
    const target = y.subarray(r * area, (r + 1) * area);
    for (let c = 0; c < channels; c++) {
      const factor = transform.analysis[r * channels + c]! * scale;
      if (factor === 0) continue;
      const from = c * area;
      for (let i = 0; i < area; i++) target[i]! += factor * centred[from + i]!;
    }
  }
  return y;
}

/** Keeps the first `rank` coefficients of a channel transform. */
export function truncated(draft: Draft, rank: number): Draft {
  const { transform, channels } = draft;
  if (!transform || rank === draft.rank) return draft;
  const synthesis = new Int16Array(channels * rank);
  for (let c = 0; c < channels; c++)
    for (let r = 0; r < rank; r++) synthesis[c * rank + r] = transform.synthesis[c * draft.rank + r]!;
  const analysis = transform.analysis.slice(0, rank * channels);
  return { ...draft, rank, transform: { ...transform, analysis, synthesis } };
}

/** Steps per frequency in 1/256, their geometric mean 1 but for clipping. */
function weightsOf(
  [mh, mw]: readonly [number, number],
  { blocks, weightExponent }: Recipe,
  { frequencies }: Sensitivity,
): Uint16Array {
  const count = mh * mw;
  if (!blocks || weightExponent === 0 || frequencies.length !== count)
    return new Uint16Array(count).fill(256);
  const smooth = smoothed(frequencies, mh, mw);
  const logs = smooth.map((w) => (-weightExponent / 2) * Math.log(w));
  const mean = logs.reduce((a, b) => a + b, 0) / count;
  return Uint16Array.from(logs, (log) => Math.max(1, Math.min(1023, Math.round(256 * Math.exp(log - mean)))));
}

/** Squared sensitivities with a floor, both directions alike where the block is square: a few pictures measure noisily. */
function smoothed(frequencies: Float64Array, mh: number, mw: number): Float64Array {
  const floor = (0.02 * frequencies.reduce((a, b) => a + b, 0)) / frequencies.length || 1;
  return frequencies.map((w, at) => {
    const [u, v] = [Math.floor(at / mw), at % mw];
    return floor + (mh === mw ? (w + frequencies[v * mw + u]!) / 2 : w);
  });
}
