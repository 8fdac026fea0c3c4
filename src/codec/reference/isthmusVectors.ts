// Test vectors of family `isthmus`, in the manner of vectors.ts: inputs made from their names, one list for Node, browsers
// and the GPU tests. `isthmusExpected.ts` holds length and checksum of each reference frame.
import { type IsthmusPlan, planIsthmus } from '../isthmusPlan.ts';
import { MADE_PROFILES, type MadeProfile } from './isthmusProfiles.ts';
import { channels } from './ransVectors.ts';
import { randomBits } from './vectors.ts';

export interface IsthmusVector {
  name: string;
  shape: readonly number[];
  plan: IsthmusPlan;
  /** The input; a new array on every call. */
  data(): Float32Array;
  /** The encoder has to refuse it with FEATURE_NOT_FINITE. */
  refused?: boolean;
}

/** Quality 50. */
const PLAN = planIsthmus({ family: 'isthmus' });

/** Sum of four uniform numbers: bell-shaped, signed, exact in float32 arithmetic. */
function bell(count: number, seed: number): Float32Array {
  const next = randomBits(seed);
  const uniform = () => (next() >>> 16) / 65536 - 0.5;
  return Float32Array.from({ length: count }, () => uniform() + uniform() + uniform() + uniform());
}

/** A copy of `data` with some elements replaced. */
function withValues(data: Float32Array, values: Record<number, number>): Float32Array {
  for (const [i, value] of Object.entries(values)) data[Number(i)] = value;
  return data;
}

/** Any bit pattern that is a finite float. */
function anyFinite(count: number, seed: number): Float32Array {
  const next = randomBits(seed);
  const bits = Uint32Array.from({ length: count }, () => {
    const x = next();
    return (x & 0x7f800000) === 0x7f800000 ? x & 0x807fffff : x;
  });
  return new Float32Array(bits.buffer);
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const filled = (value: number) => (count: number) => new Float32Array(count).fill(value);

/** @param make elements from their number and a seed; default: smooth planes of both signs */
function vector(
  name: string,
  shape: readonly number[],
  make: (count: number, seed: number) => Float32Array = (count, seed) =>
    channels(count, shape.at(-1)! * 4, seed),
  plan: Partial<IsthmusPlan> = {},
): IsthmusVector {
  const seed = [...name].reduce((hash, c) => (Math.imul(hash, 31) + c.charCodeAt(0)) | 0, 7) & 0xffff;
  return { name, shape, data: () => make(sizeOf(shape), seed), plan: { ...PLAN, ...plan } };
}

/** One with a profile, whose own step it takes unless told otherwise. */
function profiled(
  profile: MadeProfile,
  name: string,
  shape: readonly number[],
  make?: (count: number, seed: number) => Float32Array,
  plan: Partial<IsthmusPlan> = {},
): IsthmusVector {
  const made = MADE_PROFILES[profile];
  const step = { kind: 'fixed', step: made.step } as const;
  return vector(`profile ${profile}: ${name}`, shape, make, { profile: made, step, ...plan });
}

const smooth = (count: number, seed: number) => channels(count, 64, seed);
const relu = (count: number, seed: number) => channels(count, 64, seed, 0.2);
const sparse = (count: number, seed: number) => channels(count, 64, seed, 0.6);
const scaled = (factor: number) => (count: number, seed: number) => bell(count, seed).map((x) => x * factor);
const wild = { 3: Number.NaN, 40: Number.POSITIVE_INFINITY, 77: Number.NEGATIVE_INFINITY };
const withWild = (count: number, seed: number) => withValues(bell(count, seed), wild);
const anyRange = (count: number, seed: number) =>
  bell(count, seed).map((x, i) => x * Number(`1e${(i % 77) - 38}`));
const fixed = (step: number) => ({ step: { kind: 'fixed', step } }) as const;
const absolute = (step: number) => planIsthmus({ family: 'isthmus', step });
const none = { transform: 'none' } as const;
const sent = { sentTables: true } as const;

export const ISTHMUS_VECTORS: readonly IsthmusVector[] = [
  vector('no element', [1, 0, 4], filled(0)),
  vector('a scalar', [], filled(-2.5)),
  vector('one element', [1], filled(0.25)),
  vector('two elements', [2], () => Float32Array.of(1, -2)),
  vector('all zero', [3, 8, 8], filled(0)),
  vector('all equal', [3, 8, 8], filled(-1.5)),
  vector('all minus zero', [8, 8], filled(-0)),
  vector('zeros of both signs', [8, 8], (n) => withValues(new Float32Array(n), { 7: -0 })),
  vector('all NaN', [4, 4], filled(Number.NaN)),
  vector('all infinite', [4, 4], filled(Number.NEGATIVE_INFINITY)),
  vector('NaN and infinities', [4, 8, 8], withWild),
  { ...vector('NaN and infinities, strict', [4, 8, 8], withWild, { strict: true }), refused: true },
  vector('finite, strict', [4, 8, 8], bell, { strict: true }),
  vector('infinities beside zeros only', [10, 10], (n) => withValues(new Float32Array(n), wild)),
  vector('an infinity that equals the largest', [10, 10], (n, seed) =>
    withValues(bell(n, seed), { 9: Number.POSITIVE_INFINITY }),
  ),
  vector('minus zero and denormals', [2, 12, 10], (n, seed) =>
    bell(n, seed).map((x) => (x > 0.5 ? -0 : x * 2e-40)),
  ),
  vector('denormals of one and two units', [2, 12, 10], (n, seed) =>
    bell(n, seed).map((x) => Math.round(x * 2) * 2 ** -149),
  ),
  vector('denormals beside one', [2, 12, 10], (n, seed) => withValues(scaled(1e-40)(n, seed), { 9: 1 })),
  vector('range 1e38', [5, 20, 12], anyRange),
  vector('every finite pattern', [2, 32, 32], anyFinite),
  vector('every finite pattern, no transform', [2, 32, 32], anyFinite, none),
  vector('largest finite', [8, 8], (n, seed) =>
    withValues(bell(n, seed), { 0: 3.4028234663852886e38, 1: -3.4028234663852886e38 }),
  ),
  vector('one odd in 100000', [100, 1000], (n) => withValues(filled(1)(n), { 77777: 2 })),
  vector(
    'one nonzero in 100000',
    [10, 100, 100],
    (n) => withValues(new Float32Array(n), { 31: -1e-3 }),
    none,
  ),
  vector('negative only', [3, 10, 12], (n, seed) => bell(n, seed).map((x) => -Math.abs(x) - 0.125)),
  vector('nonnegative, and zeros that come back as such', [6, 16, 16], sparse),
  ...(
    [
      [3, 17, 19],
      [2, 17, 16],
      [2, 16, 17],
      [5, 7, 7],
      [4, 13, 13],
      [2, 48, 32],
      [3, 28, 15],
      [1, 2, 3],
      [48],
      [97],
      [30, 20],
      [2, 3, 8, 8],
      [2, 2, 2, 6, 6],
      [40, 1, 1],
      [7, 5, 1],
    ] as const
  ).map((shape) => vector(`shape ${shape.join('×')}`, shape)),
  vector('no transform, signed', [12, 14, 14], smooth, none),
  vector('no transform, after ReLU', [12, 14, 14], relu, none),
  vector('no transform, sparse, sent tables', [12, 14, 14], sparse, { ...none, ...sent }),
  vector('sent tables, some that nobody needs', [4, 6, 6], smooth, sent),
  vector('sent tables, nothing but zeros', [4, 8, 8], smooth, { ...sent, ...fixed(65536) }),
  vector('default tables, nothing but zeros', [4, 8, 8], smooth, fixed(65536)),
  vector('sent tables by size', [64, 28, 28], relu),
  vector('default tables against size', [64, 28, 28], relu, { sentTables: false }),
  vector('several lanes by size', [48, 40, 40], smooth),
  vector('fewer rows than lanes', [2, 20_000], smooth),
  vector('one row', [40_000], smooth),
  vector('1024 lanes', [260, 4, 4], smooth, { lanes: 1024 }),
  ...[2, 4, 16, 32].map((lanes) => vector(`${lanes} lanes of 33 rows`, [3, 11, 8], smooth, { lanes })),
  vector('4 lanes, no transform', [3, 11, 8], relu, { ...none, lanes: 4 }),
  vector('lanes within a plane', [1, 64, 6], smooth, { lanes: 8 }),
  vector('as many lanes as rows, sent tables', [4, 16, 8], smooth, { lanes: 64, ...sent }),
  vector('magnitudes above 14', [3, 16, 16], smooth, fixed(200)),
  vector('magnitudes above 14, nonnegative', [3, 16, 16], relu, { ...none, ...fixed(20) }),
  vector('magnitudes at their cap', [3, 16, 16], filledRamp, fixed(1)),
  vector('magnitudes at their cap, no sign, sent tables', [3, 16, 16], filledRamp, {
    ...none,
    ...sent,
    ...fixed(1),
  }),
  ...[0, 30, 70, 100].map((quality) =>
    vector(`quality ${quality}`, [6, 16, 16], smooth, planIsthmus({ family: 'isthmus', quality })),
  ),
  vector('absolute step', [6, 16, 16], smooth, absolute(0.05)),
  vector('absolute step, tiny', [2, 16, 16], bell, absolute(2 ** -126)),
  vector('absolute step, huge', [2, 16, 16], bell, absolute(1e30)),
  vector('absolute step among denormals', [2, 16, 16], scaled(2 ** -130), absolute(2 ** -126)),
  ...[1, 300, 900, 2 ** 31].map((target) =>
    vector(`${target} bytes`, [6, 16, 16], smooth, { step: { kind: 'bytes', target } }),
  ),
  vector('700 bytes with sent tables', [6, 16, 16], relu, { step: { kind: 'bytes', target: 700 }, ...sent }),
  ...[0, 0.001, 0.05, 1].map((target) =>
    vector(`distortion ${target}`, [6, 16, 16], smooth, { step: { kind: 'distortion', target } }),
  ),
  profiled('usual', 'a feature', [16, 8, 8]),
  profiled('usual', 'a batch of three in four lanes', [3, 16, 12, 8], smooth, { lanes: 4 }),
  profiled('usual', 'constant, which is no constant here', [1, 16, 4, 4], filled(0.5)),
  profiled('usual', 'no element', [0, 16, 4, 4], filled(0)),
  profiled('usual', 'NaN and infinities', [16, 8, 8], withWild),
  {
    ...profiled('usual', 'NaN and infinities, strict', [16, 8, 8], withWild, { strict: true }),
    refused: true,
  },
  profiled('usual', 'after ReLU', [16, 8, 8], relu),
  profiled('usual', 'beyond its range', [16, 8, 8], scaled(9)),
  profiled('usual', 'far beyond its range', [16, 8, 8], anyRange),
  profiled('usual', 'far below its range', [16, 8, 8], scaled(1e-20)),
  profiled('usual', 'the finest step', [16, 8, 8], smooth, fixed(1)),
  profiled('usual', 'the coarsest step', [16, 8, 8], smooth, fixed(65536)),
  profiled('usual', 'steps between octaves', [2, 16, 8, 8], smooth, fixed(13000)),
  profiled('usual', '150 bytes', [16, 8, 8], smooth, { step: { kind: 'bytes', target: 150 } }),
  profiled('usual', 'distortion 0.02', [16, 8, 8], smooth, { step: { kind: 'distortion', target: 0.02 } }),
  profiled('usual', 'absolute step', [16, 8, 8], smooth, { step: absolute(0.1).step }),
  profiled('usual', 'share of the largest', [16, 8, 8], smooth, {
    step: { kind: 'relative', budgetQ16: 4000 },
  }),
  profiled('usual', 'large', [2, 16, 56, 56], smooth),
  profiled('neighbours', 'a feature', [16, 14, 7]),
  profiled('neighbours', 'a batch in lanes', [2, 16, 7, 14], relu, { lanes: 8 }),
  profiled('plain', 'a feature', [2, 8, 16, 8]),
  profiled('plain', 'map and blocks end within the plane', [8, 8, 6], smooth),
  profiled('tokens', 'features of tokens', [1, 50, 24]),
  profiled('tokens', 'one token', [24], bell),
  profiled('tokens', 'another width', [3, 5, 7, 10], bell),
  profiled('wide', 'a feature', [4, 32, 5]),
  profiled('wide', 'half the map', [8, 8, 5], relu),
  profiled('single', 'a feature', [2, 4, 16]),
  profiled('single', 'the coarsest step', [2, 4, 16], smooth, fixed(65536)),
  profiled('extreme', 'everything saturates', [32, 16, 16], anyFinite),
  profiled('extreme', 'a finer step', [32, 16, 16], anyFinite, fixed(300)),
  profiled('extreme', 'small numbers', [32, 16, 32], smooth, fixed(40)),
  profiled('fine', 'everything saturates', [32, 3, 5], bell),
  profiled('fine', 'denormals', [2, 32, 3, 5], scaled(1e-38), { lanes: 2 }),
];

/** All magnitudes of the fixed point, and a constant plane, whose mean coefficient is the largest there can be. */
function filledRamp(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (i < 256 ? 16383 : (i * 67) % 16384));
}
