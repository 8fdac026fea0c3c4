// Statistics of the rate–accuracy benchmark: KL divergence, Wilson intervals, and the bytes at which a codec's curve
// reaches a given loss. Pure functions of numbers per picture.

/** What was measured of one setting: one number per picture each. */
export interface Sampled {
  bytes: readonly number[];
  /** Best class. */
  top: readonly number[];
  kl: readonly number[];
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** KL(p ‖ q) in nats of the class probabilities that two lists of logits stand for. */
export function divergence(p: ArrayLike<number>, q: ArrayLike<number>): number {
  const logP = logSoftmax(p);
  const logQ = logSoftmax(q);
  // Rounding can make the sum of nearly equal distributions a little less than nothing.
  return Math.max(
    0,
    logP.reduce((sum, lp, i) => sum + Math.exp(lp) * (lp - logQ[i]!), 0),
  );
}

function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const z = Float64Array.from(logits);
  const largest = z.reduce((a, b) => Math.max(a, b));
  const log = largest + Math.log(z.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  return z.map((x) => x - log);
}

/** 95 % interval of a share (Wilson 1927). */
export function wilson(hits: number, n: number): [low: number, high: number] {
  const z = 1.96;
  const p = hits / n;
  const middle = p + z ** 2 / (2 * n);
  const spread = z * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2));
  const scale = 1 + z ** 2 / n;
  return [(middle - spread) / scale, (middle + spread) / scale];
}

/** Half the width of the 95 % interval of a mean. */
export function meanError(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1);
  return 1.96 * Math.sqrt(variance / values.length);
}

/** A setting's means over a sample of pictures. */
export interface Point {
  bytes: number;
  kl: number;
  /** Top-1 lost against the uncompressed model, 0…1; negative where it gained. */
  loss: number;
}

/** Which pictures count, and how often: each entry is the index of one. */
export type Sample = ArrayLike<number>;

/**
 * @param right - per picture, whether the uncompressed model was right
 * @param labels - per picture, the true class
 */
export function pointOf(
  { bytes, top, kl }: Sampled,
  sample: Sample,
  labels: readonly number[],
  right: readonly boolean[],
): Point {
  const sum = { bytes: 0, kl: 0, loss: 0 };
  for (let k = 0; k < sample.length; k++) {
    const i = sample[k]!;
    sum.bytes += bytes[i]!;
    sum.kl += kl[i]!;
    sum.loss += Number(right[i]!) - Number(top[i] === labels[i]);
  }
  const n = sample.length;
  return { bytes: sum.bytes / n, kl: sum.kl / n, loss: sum.loss / n };
}

/** The settings worth choosing: in rising bytes, each with a smaller divergence than all before it. */
export function frontier(points: readonly Point[]): Point[] {
  const rising = [...points].sort((a, b) => a.bytes - b.bytes || a.kl - b.kl);
  let least = Number.POSITIVE_INFINITY;
  return rising.filter(({ kl }) => {
    if (kl >= least) return false;
    least = kl;
    return true;
  });
}

/** Where a curve reaches a loss. */
export interface Crossing {
  /** NaN when even the largest setting loses more. */
  bytes: number;
  /** Even the smallest setting loses less, so that fewer bytes than these might do. */
  atMost: boolean;
}

const NEVER: Crossing = { bytes: Number.NaN, atMost: false };

/** Bytes at a mean divergence, between the two nearest settings of the frontier, both on logarithmic scales. */
export function bytesAtDivergence(points: readonly Point[], target: number): Crossing {
  return crossing(frontier(points), ({ kl }) => Math.log(Math.max(kl, 1e-12)), Math.log(target));
}

/**
 * Bytes at a loss of top-1. Single settings are noisy, so the losses along the frontier are first made to fall with the
 * bytes (isotonic regression: neighbours that disagree share their mean).
 */
export function bytesAtLoss(points: readonly Point[], target: number): Crossing {
  const path = frontier(points);
  const pools: { sum: number; count: number }[] = [];
  for (const { loss } of path) {
    let pool = { sum: loss, count: 1 };
    for (
      let last = pools.at(-1);
      last && last.sum / last.count <= pool.sum / pool.count;
      last = pools.at(-1)
    ) {
      pool = { sum: pool.sum + last.sum, count: pool.count + last.count };
      pools.pop();
    }
    pools.push(pool);
  }
  const smooth = pools.flatMap(({ sum, count }) => Array<number>(count).fill(sum / count));
  const smoothed = path.map((point, i) => ({ ...point, loss: smooth[i]! }));
  return crossing(smoothed, ({ loss }) => loss, target);
}

/** @param path in rising bytes and falling `height` */
function crossing(path: readonly Point[], height: (point: Point) => number, target: number): Crossing {
  const after = path.findIndex((point) => height(point) <= target);
  if (after < 0) return NEVER;
  const b = path[after]!;
  if (after === 0) return { bytes: b.bytes, atMost: true };
  const a = path[after - 1]!;
  const share = (height(a) - target) / (height(a) - height(b));
  return { bytes: Math.exp(Math.log(a.bytes) + share * Math.log(b.bytes / a.bytes)), atMost: false };
}

/**
 * The divergence worth one point of top-1: loss ≈ slope · divergence, a least-squares line through zero over settings
 * of all codecs and cuts of a model. NaN where the settings lose nothing.
 */
export function divergenceOfOnePoint(points: readonly Point[]): number {
  const usable = points.filter(({ kl }) => kl > 0.003 && kl < 0.3);
  const slope =
    usable.reduce((sum, { kl, loss }) => sum + kl * loss, 0) /
    usable.reduce((sum, { kl }) => sum + kl ** 2, 0);
  return slope > 0 ? 0.01 / slope : Number.NaN;
}

/** Samples with replacement, the same in every run. */
export function resamples(n: number, count: number): Uint32Array[] {
  let state = 0x9e3779b9;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: count }, () => Uint32Array.from({ length: n }, () => Math.floor(next() * n)));
}

/** The middle 95 % of those values that are numbers. */
export function interval(values: readonly number[]): [low: number, high: number] {
  const sorted = values.filter((x) => !Number.isNaN(x)).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
