// How much the answer of a tail moves when its feature does: per pair of channels (a Fisher metric) and per frequency. Found
// by forward passes alone, with small disturbances of real features; no gradients, no training.
import type { View3 } from '../codec/profile.ts';
import { cosineBasis } from './blocks.ts';
import { signStream } from './random.ts';

export interface Sensitivity {
  /** C × C, row-major, positive semi-definite: squared answer per squared unit of the feature. */
  channels: Float64Array;
  /** bh × bw: the same per unit of each frequency of a block; of one size when all frequencies matter alike. */
  frequencies: Float64Array;
  /** Pictures it comes from. */
  pictures: number;
}

export interface SensitivityOptions {
  view: View3;
  block: readonly [number, number];
  /** Standard deviation of each channel. */
  deviations: Float64Array;
  /** Begin no further picture after this many milliseconds. */
  budgetMs: number;
  onPicture: (done: number) => void;
}

/** Size of a disturbance in standard deviations: large against rounding, small against what bends the answer. */
const EPSILON = 0.25;
/** Elements that one batch of disturbed features has at most. */
const BATCH_ELEMENTS = 4e6;
const MAX_PICTURES = 24;

/** Disturbed features in, rows of `coordinates` out. */
type Answers = (features: Float32Array, count: number) => Promise<Float64Array[]>;

/** @param features at least one; [P, H, W] each */
export async function tailSensitivity(
  features: readonly Float32Array[],
  answers: Answers,
  options: SensitivityOptions,
): Promise<Sensitivity> {
  const { view, block } = options;
  const channels = new Float64Array(view.planes ** 2);
  const frequencies = new Float64Array(block[0] * block[1]);
  const started = performance.now();
  const limit = Math.min(features.length, MAX_PICTURES);
  let pictures = 0;
  while (pictures < limit && (pictures === 0 || performance.now() - started < options.budgetMs)) {
    const feature = features[Math.floor((pictures * features.length) / limit)]!;
    const base = (await answers(feature, 1))[0]!;
    const sign = signStream(1 + pictures);
    await probeChannels(feature, base, answers, options, sign, channels);
    await probeFrequencies(feature, base, answers, options, sign, frequencies);
    pictures++;
    options.onPicture(pictures);
  }
  return {
    channels: channels.map((x) => x / pictures),
    frequencies: frequencies.map((x) => x / pictures),
    pictures,
  };
}

/** Adds G·Gᵗ, G[c] being the change of the answer per unit of channel c along one pattern of signs. */
async function probeChannels(
  feature: Float32Array,
  base: Float64Array,
  answers: Answers,
  { view, deviations }: SensitivityOptions,
  sign: () => number,
  sum: Float64Array,
): Promise<void> {
  const area = view.rows * view.columns;
  const pattern = Float32Array.from({ length: area }, sign);
  const slopes: Float64Array[] = [];
  await inBatches(
    feature,
    view.planes,
    answers,
    (c, copy) => {
      const size = EPSILON * deviations[c]!;
      for (let i = 0; i < area; i++) copy[c * area + i]! += size * pattern[i]!;
    },
    (c, answer) => {
      const size = EPSILON * deviations[c]!;
      slopes.push(answer.map((x, k) => (x - base[k]!) / size));
    },
  );
  for (let a = 0; a < view.planes; a++) {
    for (let b = 0; b <= a; b++) {
      const [x, y] = [slopes[a]!, slopes[b]!];
      let product = 0;
      for (let k = 0; k < x.length; k++) product += x[k]! * y[k]!;
      sum[a * view.planes + b]! += product;
      if (a !== b) sum[b * view.planes + a]! += product;
    }
  }
}

/** Adds the squared change of the answer when every block of every channel gets one basis function with a random sign. */
async function probeFrequencies(
  feature: Float32Array,
  base: Float64Array,
  answers: Answers,
  { view: { planes, rows, columns }, block: [bh, bw], deviations }: SensitivityOptions,
  sign: () => number,
  sum: Float64Array,
): Promise<void> {
  if (bh * bw === 1) {
    sum[0]! += 1;
    return;
  }
  const [vertical, horizontal] = [cosineBasis(bh), cosineBasis(bw)];
  // All channels together have the energy of one, lest the answer bend.
  const size = (EPSILON * Math.sqrt(bh * bw)) / Math.sqrt(planes);
  await inBatches(
    feature,
    bh * bw,
    answers,
    (f, copy) => {
      const [u, v] = [Math.floor(f / bw), f % bw];
      for (let c = 0; c < planes; c++) {
        for (let y0 = 0; y0 < rows; y0 += bh) {
          for (let x0 = 0; x0 < columns; x0 += bw) {
            const amount = size * deviations[c]! * sign();
            for (let y = 0; y < bh; y++) {
              const line = amount * vertical[u * bh + y]!;
              const at = (c * rows + y0 + y) * columns + x0;
              for (let x = 0; x < bw; x++) copy[at + x]! += line * horizontal[v * bw + x]!;
            }
          }
        }
      }
    },
    (f, answer) => {
      let squared = 0;
      for (let k = 0; k < answer.length; k++) squared += (answer[k]! - base[k]!) ** 2;
      sum[f]! += squared / EPSILON ** 2;
    },
  );
}

async function inBatches(
  feature: Float32Array,
  probes: number,
  answers: Answers,
  disturb: (probe: number, copy: Float32Array) => void,
  take: (probe: number, answer: Float64Array) => void,
): Promise<void> {
  const size = feature.length;
  const most = Math.max(1, Math.min(64, Math.floor(BATCH_ELEMENTS / size)));
  for (let first = 0; first < probes; first += most) {
    const count = Math.min(most, probes - first);
    const batch = new Float32Array(count * size);
    for (let j = 0; j < count; j++) {
      const copy = batch.subarray(j * size, (j + 1) * size);
      copy.set(feature);
      disturb(first + j, copy);
    }
    (await answers(batch, count)).forEach((answer, j) => {
      take(first + j, answer);
    });
  }
}
