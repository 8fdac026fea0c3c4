// Synthetic features of the codec benchmark: correlated between neighbours and channels, cut by a ReLU, the same in every
// run and on every machine. Pure arithmetic, so that the page makes them itself.

export interface FeatureSpec {
  name: string;
  shape: readonly number[];
  /** Of the synthetic ones. */
  seed: number;
}

/** 4 Ki to 4 Mi elements. */
export const SYNTHETIC: readonly FeatureSpec[] = [
  { name: '4 Ki', shape: [1, 64, 8, 8], seed: 1 },
  { name: '16 Ki', shape: [1, 64, 16, 16], seed: 2 },
  { name: '64 Ki', shape: [1, 64, 32, 32], seed: 3 },
  { name: '256 Ki', shape: [1, 256, 32, 32], seed: 4 },
  { name: '1 Mi', shape: [1, 256, 64, 64], seed: 5 },
  { name: '4 Mi', shape: [1, 256, 128, 128], seed: 6 },
];

/** Correlation of neighbours in a row and in a column, before the ReLU. */
const NEIGHBOUR = 0.6;
/** Channels that share half of their variance. */
const GROUP = 8;

/**
 * Per channel: half of the variance is the group's, half its own; both are noise smoothed by a first-order filter along
 * rows and columns. Channel scales spread by a factor of two either way; a bias of 0.3 and the ReLU leave about 60 % zeros.
 */
export function syntheticFeature({ shape, seed }: FeatureSpec): Float32Array<ArrayBuffer> {
  const [, channels, rows, columns] = shape as [number, number, number, number];
  const area = rows * columns;
  const noise = bell(seed);
  const data = new Float32Array(channels * area);
  let shared: Float64Array = new Float64Array(0);
  for (let c = 0; c < channels; c++) {
    if (c % GROUP === 0) shared = smooth(noise, rows, columns);
    const own = smooth(noise, rows, columns);
    const scale = 2 ** noise();
    const mix = Math.SQRT1_2;
    for (let i = 0; i < area; i++)
      data[c * area + i] = Math.max(0, scale * (mix * (shared[i]! + own[i]!) - 0.3));
  }
  return data;
}

/** Unit variance, correlated by `NEIGHBOUR` along both axes. */
function smooth(noise: () => number, rows: number, columns: number): Float64Array {
  const field = Float64Array.from({ length: rows * columns }, noise);
  const fresh = Math.sqrt(1 - NEIGHBOUR ** 2);
  for (let i = 0; i < field.length; i++)
    if (i % columns > 0) field[i] = NEIGHBOUR * field[i - 1]! + fresh * field[i]!;
  for (let i = columns; i < field.length; i++) field[i] = NEIGHBOUR * field[i - columns]! + fresh * field[i]!;
  return field;
}

/** Sum of three uniform numbers, of unit variance. */
function bell(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return () => uniform() + uniform() + uniform();
}
