// Test vectors of family `rans`, in the manner of vectors.ts: inputs made from their names, one list for Node, browsers
// and the GPU tests. `ransExpected.ts` holds length and checksum of each reference frame.
import type { RansPlan } from '../params.ts';
import { anyFinite, randomBits, withValues } from './vectors.ts';

export interface RansVector {
  name: string;
  shape: readonly number[];
  plan: RansPlan;
  /** The input; a new array on every call. */
  data(): Float32Array;
  /** The encoder has to refuse it with FEATURE_NOT_FINITE. */
  refused?: boolean;
}

const PLAN: RansPlan = { bits: 4, lanes: undefined, strict: false };

/** Sum of four uniform numbers: bell-shaped, signed, exact in float32 arithmetic. */
function bell(count: number, seed: number): Float32Array {
  const next = randomBits(seed);
  const uniform = () => (next() >>> 16) / 65536 - 0.5;
  return Float32Array.from({ length: count }, () => uniform() + uniform() + uniform() + uniform());
}

const relu = (count: number, seed: number, bias = 0) => bell(count, seed).map((x) => Math.max(0, x - bias));
const constant = (count: number, value: number) => () => new Float32Array(count).fill(value);

/**
 * Like the output of a layer: channels of differing scale and density, smooth over their rows.
 * @param bias subtracted before the ReLU; none without a ReLU
 */
export function channels(count: number, size: number, seed: number, bias?: number): Float32Array {
  const fine = bell(count, seed);
  const coarse = bell(Math.ceil(count / 8) + 2, seed + 1);
  const scales = bell(Math.ceil(count / size), seed + 2);
  return fine.map((x, i) => {
    const scale = 1 + scales[Math.floor(i / size)]! / 2;
    const at = i >> 3;
    const smooth = coarse[at]! + ((coarse[at + 1]! - coarse[at]!) * (i & 7)) / 8;
    const value = scale * (smooth + x / 2);
    return bias === undefined ? value : Math.max(0, value - bias * scale);
  });
}

function vector(
  name: string,
  count: number,
  data: () => Float32Array,
  plan: Partial<RansPlan> = {},
): RansVector {
  return { name, shape: [1, count], data, plan: { ...PLAN, ...plan } };
}

const wild = { 3: Number.NaN, 40: Number.POSITIVE_INFINITY, 77: Number.NEGATIVE_INFINITY };

export const RANS_VECTORS: readonly RansVector[] = [
  vector('all zero', 1000, constant(1000, 0)),
  vector('all equal', 1000, constant(1000, -1.5)),
  vector('all minus zero', 100, constant(100, -0)),
  vector('zeros of both signs', 100, () => withValues(new Float32Array(100), { 7: -0 })),
  vector('all NaN', 100, constant(100, Number.NaN)),
  vector('all infinite', 100, constant(100, Number.NEGATIVE_INFINITY)),
  { ...vector('no element', 0, constant(0, 0)), shape: [1, 0, 4] },
  vector('one element', 1, constant(1, 0.25)),
  vector('two elements', 2, () => Float32Array.of(1, -2)),
  vector('two values: one code is present', 512, () =>
    Float32Array.from({ length: 512 }, (_, i) => (i % 2 ? -2 : 0)),
  ),
  vector('one odd in 100000', 100_000, () => withValues(constant(100_000, 1)(), { 77777: 2 })),
  vector('one nonzero in 100000', 100_000, () => withValues(new Float32Array(100_000), { 31: -1e-3 })),
  vector('positive only, no zero', 999, () => bell(999, 5).map((x) => Math.abs(x) + 0.125)),
  vector('negative only', 999, () => bell(999, 5).map((x) => -Math.abs(x) - 0.125)),
  vector('mostly negative: z is the largest code', 999, () =>
    bell(999, 6).map((x, i) => (i % 9 ? -Math.abs(x) : Math.abs(x) / 1000)),
  ),
  vector('both ends round up: the largest code clips', 300, () =>
    Float32Array.from({ length: 300 }, (_, i) => [-1.5, 1.5, 0, 0.75][i % 4]!),
  ),
  vector('NaN and infinities', 1000, () => withValues(bell(1000, 7), wild)),
  {
    ...vector('NaN and infinities, strict', 1000, () => withValues(bell(1000, 7), wild), { strict: true }),
    refused: true,
  },
  vector('finite, strict', 1000, () => bell(1000, 7), { strict: true }),
  vector('infinities beside zeros only', 100, () => withValues(new Float32Array(100), wild)),
  vector('an infinity that equals the largest', 100, () =>
    withValues(relu(100, 8), { 9: Number.POSITIVE_INFINITY }),
  ),
  vector('minus zero and denormals', 500, () => bell(500, 9).map((x) => (x > 0.5 ? -0 : x * 2e-40))),
  vector('denormals of one and two units', 500, () =>
    bell(500, 10).map((x) => Math.round(x * 2) * 2 ** -149),
  ),
  vector('denormals beside one', 500, () =>
    withValues(
      bell(500, 10).map((x) => x * 1e-40),
      { 9: 1 },
    ),
  ),
  vector('range 1e38', 1500, () => bell(1500, 11).map((x, i) => x * Number(`1e${(i % 77) - 38}`))),
  vector('every finite pattern', 2048, () => anyFinite(2048, 12), { bits: 8 }),
  vector('largest finite', 64, () =>
    withValues(bell(64, 13), { 0: 3.4028234663852886e38, 1: -3.4028234663852886e38 }),
  ),
  vector('everything is present', 4096, () => bell(4096, 14).map((x) => (x < 0 ? x - 2 : x + 2))),
  vector('256 values', 65_536, () => Float32Array.from({ length: 65_536 }, (_, i) => (i % 256) - 100), {
    bits: 8,
  }),
  vector('prime T', 7919, () => relu(7919, 15)),
  vector('T = 251, a prime that is a width', 251, () => relu(251, 16)),
  vector('T = 257, a prime that is none', 257, () => relu(257, 17)),
  vector('many divisors', 55_440, () => channels(55_440, 385, 18, 0.2)),
  vector('rare: K is large', 51_000, () => relu(51_000, 19, 1.1)),
  vector('rarer than one in a row', 51_000, () => relu(51_000, 20, 1.6), { bits: 6 }),
  vector('whole rows empty, others full', 12_800, () =>
    bell(12_800, 21).map((x, i) => (i % 640 < 320 ? 0 : x < 0 ? x - 1 : x + 1)),
  ),
  ...[2, 3, 4, 5, 6, 7, 8].flatMap((bits) => [
    vector(`Q = ${bits}, signed`, 6272, () => channels(6272, 196, 22 + bits), { bits }),
    vector(`Q = ${bits}, after ReLU`, 6272, () => channels(6272, 196, 32 + bits, 0.1), { bits }),
  ]),
  ...[1, 2, 4, 32, 1024].map((lanes) =>
    vector(`${lanes} lanes`, 6000, () => relu(6000, 41), { lanes, bits: 5 }),
  ),
  vector('more lanes than symbols', 30, () => relu(30, 42), { lanes: 256 }),
  vector('a lane of one symbol beside empty ones', 2, () => Float32Array.of(0, 1), { lanes: 8 }),
  ...[3, 31, 32, 33, 63, 64, 65, 127, 255, 256, 1023, 1024, 1025, 4095, 8191, 8192, 8193, 65_537].map(
    (count) => vector(`T = ${count}`, count, () => bell(count, count)),
  ),
  { ...vector('a real shape: 64×14×14', 12_544, () => channels(12_544, 196, 51)), shape: [1, 64, 14, 14] },
  {
    ...vector('a real shape after ReLU: 128×28×28', 100_352, () => channels(100_352, 784, 52, 0.1)),
    shape: [1, 128, 28, 28],
  },
  {
    ...vector('the same, sparse, six bits', 100_352, () => channels(100_352, 784, 53, 0.6), { bits: 6 }),
    shape: [1, 128, 28, 28],
  },
];
