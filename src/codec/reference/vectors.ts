// Test vectors of the slicer family: inputs made from their names, so that Node, browsers and the GPU tests share one
// list. `expected.ts` holds length and checksum of each reference frame. No assertion and nothing of Node here.
import type { SlicerPlan } from '../params.ts';

export interface Vector {
  name: string;
  shape: readonly number[];
  plan: SlicerPlan;
  /** The input; a new array on every call. */
  data(): Float32Array;
  /** The encoder has to refuse it with FEATURE_NOT_FINITE. */
  refused?: boolean;
}

const PLAN: SlicerPlan = {
  keepQ16: 19661, // 0.3
  asymmetryQ8: 256,
  blocks: 4,
  mode: 'step',
  budgetQ16: 2621, // two per cent
  strict: false,
};

/** xorshift32: equal on every machine, unlike anything that goes through Math.sin or Math.log. */
export function randomBits(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** Sum of four uniform numbers: bell-shaped, signed, exact in float32 arithmetic. */
function bell(count: number, seed: number, relu = false): Float32Array {
  const next = randomBits(seed);
  const uniform = () => (next() >>> 16) / 65536 - 0.5;
  const data = Float32Array.from({ length: count }, () => uniform() + uniform() + uniform() + uniform());
  return relu ? data.map((x) => Math.max(0, x)) : data;
}

const constant = (count: number, value: number) => () => new Float32Array(count).fill(value);

/** A copy of `data` with some elements replaced. */
export function withValues(data: Float32Array, values: Record<number, number>): Float32Array {
  for (const [i, value] of Object.entries(values)) data[Number(i)] = value;
  return data;
}

/** Any bit pattern that is a finite float. */
export function anyFinite(count: number, seed: number): Float32Array {
  const next = randomBits(seed);
  const bits = Uint32Array.from({ length: count }, () => {
    const x = next();
    return (x & 0x7f800000) === 0x7f800000 ? x & 0x807fffff : x;
  });
  return new Float32Array(bits.buffer);
}

function vector(
  name: string,
  count: number,
  data: () => Float32Array,
  plan: Partial<SlicerPlan> = {},
): Vector {
  return { name, shape: [1, count], data, plan: { ...PLAN, ...plan } };
}

const strict = { strict: true };
const wild = { 3: Number.NaN, 40: Number.POSITIVE_INFINITY, 77: Number.NEGATIVE_INFINITY };
const everything = { keepQ16: 65536 };

export const VECTORS: readonly Vector[] = [
  vector('all zero', 1000, constant(1000, 0)),
  vector('all equal', 1000, constant(1000, -1.5)),
  vector('all minus zero', 100, constant(100, -0)),
  vector('zeros of both signs', 100, () => withValues(new Float32Array(100), { 7: -0 })),
  vector('all NaN', 100, constant(100, Number.NaN)),
  vector('all infinite', 100, constant(100, Number.NEGATIVE_INFINITY)),
  vector('one element', 1, constant(1, 0.25)),
  vector('two elements', 2, () => Float32Array.of(1, -2)),
  { ...vector('no element', 0, constant(0, 0)), shape: [1, 0, 4] },
  vector(
    'one symbol: two magnitudes, one per block',
    640,
    () => Float32Array.from({ length: 640 }, (_, i) => (i % 2 ? 3 : 5)),
    { blocks: 2, ...everything },
  ),
  vector('one odd in 100000', 100_000, () => withValues(constant(100_000, 1)(), { 77777: 2 })),
  vector('one nonzero in 100000', 100_000, () => withValues(new Float32Array(100_000), { 31: -1e-3 })),
  vector('negative only', 999, () => bell(999, 5).map((x) => -Math.abs(x) - 0.125)),
  vector('negative only, asymmetry 0', 999, () => bell(999, 5).map((x) => -Math.abs(x) - 0.125), {
    asymmetryQ8: 0,
  }),
  vector('NaN and infinities', 1000, () => withValues(bell(1000, 6), wild)),
  {
    ...vector('NaN and infinities, strict', 1000, () => withValues(bell(1000, 6), wild), strict),
    refused: true,
  },
  vector('finite, strict', 1000, () => bell(1000, 6), strict),
  vector('infinities beside zeros only', 100, () => withValues(new Float32Array(100), wild)),
  vector('minus zero and denormals', 500, () => bell(500, 7).map((x) => (x > 0.5 ? -0 : x * 2e-40))),
  vector('denormals, everything kept', 500, () => bell(500, 8).map((x) => x * 1e-42), everything),
  vector(
    'denormals beside one',
    500,
    () =>
      withValues(
        bell(500, 8).map((x) => x * 1e-40),
        { 9: 1 },
      ),
    everything,
  ),
  vector('range 1e38', 1500, () => bell(1500, 9).map((x, i) => x * Number(`1e${(i % 77) - 38}`)), everything),
  vector('every finite pattern, integer budget', 2048, () => anyFinite(2048, 10), {
    ...everything,
    mode: 'integer',
    budgetQ16: 512,
    blocks: 8,
  }),
  vector('every finite pattern, asymmetry 0.3', 2048, () => anyFinite(2048, 11), {
    keepQ16: 40_000,
    asymmetryQ8: 77,
  }),
  vector(
    'largest finite',
    64,
    () => withValues(bell(64, 12), { 0: 3.4028234663852886e38, 1: -3.4028234663852886e38 }),
    everything,
  ),
  vector('K above the nonzeros', 3000, () => bell(3000, 13, true).map((x) => (x < 0.7 ? 0 : x)), {
    keepQ16: 45_000,
  }),
  vector('K = 0', 300, () => bell(300, 14), { keepQ16: 0 }),
  vector('K = 1', 300, () => bell(300, 14), { keepQ16: 1 }),
  vector('K = T', 777, () => bell(777, 15), everything),
  vector('K = T with zeros', 777, () => bell(777, 15, true), everything),
  vector('M above K', 40, () => bell(40, 16), { keepQ16: 9000, blocks: 16 }),
  vector('M just below K', 40, () => bell(40, 16), { keepQ16: 29_000, blocks: 16 }),
  vector('all tied', 2000, () => bell(2000, 17).map((x) => (x < 0 ? -0.75 : 0.75))),
  vector('all tied, 16 blocks, everything', 1999, () => bell(1999, 18).map((x) => (x < 0 ? -0.75 : 0.75)), {
    ...everything,
    blocks: 16,
  }),
  vector('few values, ties across blocks', 5000, () => bell(5000, 19).map((x) => Math.round(x * 3)), {
    keepQ16: 50_000,
    blocks: 8,
  }),
  vector('ties at λ = 0.5', 3000, () => bell(3000, 20).map((x) => Math.round(x * 8) / 4), {
    asymmetryQ8: 128,
  }),
  vector('ties at λ = 0.99', 3000, () => bell(3000, 20).map((x) => Math.round(x * 8) / 4), {
    asymmetryQ8: 253,
    keepQ16: 20_000,
  }),
  vector('λ = 0.5 with denormals', 600, () => bell(600, 21).map((x) => x * 3e-38), { asymmetryQ8: 128 }),
  vector('λ = 0', 3000, () => bell(3000, 22), { asymmetryQ8: 0, keepQ16: 40_000 }),
  vector('sparse: list of positions', 4096, () => bell(4096, 23), { keepQ16: 1300 }),
  vector('sparse: just where list and bitmap meet', 4096, () => bell(4096, 23), { keepQ16: 5461 }),
  vector('ramp in one block', 70_000, () => Float32Array.from({ length: 70_000 }, (_, i) => i), {
    ...everything,
    blocks: 1,
    budgetQ16: 0,
  }),
  vector('budget 0: eight bits', 1200, () => bell(1200, 24), { budgetQ16: 0 }),
  vector('budget 1: one bit', 1200, () => bell(1200, 24), { budgetQ16: 65536 }),
  vector('integer budget 0', 1200, () => bell(1200, 25), { mode: 'integer', budgetQ16: 0 }),
  vector('integer budget 127', 1200, () => bell(1200, 25), { mode: 'integer', budgetQ16: 32_512 }),
  ...[1, 2, 4, 8, 16].flatMap((blocks) => [
    vector(`M = ${blocks}, step budget`, 4000, () => bell(4000, 26), { blocks }),
    vector(`M = ${blocks}, integer budget`, 4000, () => bell(4000, 27, true), {
      blocks,
      mode: 'integer',
      budgetQ16: 700,
    }),
    vector(`M = ${blocks}, everything kept`, 1234, () => bell(1234, 28), { ...everything, blocks }),
  ]),
  ...[3, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 1023, 1024, 1025, 4095, 8191, 8192, 8193, 65_537].map(
    (count) => vector(`T = ${count}`, count, () => bell(count, count), { keepQ16: 30_000, blocks: 8 }),
  ),
  { ...vector('a real shape: 64×14×14', 12_544, () => bell(12_544, 29)), shape: [1, 64, 14, 14] },
  {
    ...vector('a real shape after ReLU: 128×28×28', 100_352, () => bell(100_352, 30, true)),
    shape: [1, 128, 28, 28],
  },
];
