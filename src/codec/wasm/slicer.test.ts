// The slicer kernels against TypeScript: equal bytes, equal values on every vector and on random tensors; equal answers to
// damaged ones.
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeSlicer as decodeInTypescript } from '../cpu/decodeSlicer.ts';
import { encodeSlicer as encodeInTypescript } from '../cpu/encodeSlicer.ts';
import { type SlicerPlan, TENSOR_FLAGS } from '../params.ts';
import { encodeSlicer as slowEncode } from '../reference/encodeSlicer.ts';
import { randomBits, VECTORS } from '../reference/vectors.ts';
import { decodeSlicer } from './decodeSlicer.ts';
import { encodeSlicer } from './encodeSlicer.ts';
import { bitsOf, expectSameAnswers, needKernels } from './wasmTesting.fixture.ts';

beforeAll(() => void needKernels());

describe('every vector', () => {
  test.each(VECTORS)('$name', (v) => {
    const data = v.data();
    const encoded = encodeSlicer(data, v.shape, v.plan);
    expect(bitsOf(data)).toEqual(bitsOf(v.data()));
    if (v.refused) return expect(encoded).toBeUndefined();
    const wanted = slowEncode(v.data(), v.shape, v.plan);
    const survivors =
      wanted.flags & TENSOR_FLAGS.CONST ? 0 : new DataView(wanted.params.buffer).getUint32(0, true);
    // Constants, and tensors without a survivor, need no kernel.
    if (survivors === 0) return expect(encoded).toBeUndefined();
    expect(encoded).toEqual(wanted);
    const values = decodeSlicer(wanted, data.length)!;
    expect(bitsOf(values)).toEqual(bitsOf(decodeInTypescript(wanted, data.length)));
  });
});

/** Many ties, zeros and extremes, of every length that matters to groups of 4, 8, 16 and 32. */
const anyData = fc.oneof(
  fc.float32Array({ maxLength: 200 }),
  fc
    .array(fc.constantFrom(0, -0, 1, -1, 1.5, -2, 1e-40, 3e38, Number.NaN, Number.POSITIVE_INFINITY), {
      maxLength: 150,
    })
    .map((a) => Float32Array.from(a)),
  fc
    .array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 300 })
    .map((a) => Float32Array.from(a)),
  fc
    .record({ seed: fc.nat(), count: fc.integer({ min: 300, max: 5000 }), coarse: fc.boolean() })
    .map(({ seed, count, coarse }) => {
      const next = randomBits(seed);
      const number = () => ((next() >>> 8) / 2 ** 24 - 0.5) * ((next() >>> 8) / 2 ** 24);
      return Float32Array.from({ length: count }, () => (coarse ? Math.round(32 * number()) / 8 : number()));
    }),
);

const anyPlan: fc.Arbitrary<SlicerPlan> = fc.record({
  keepQ16: fc.oneof(fc.constantFrom(0, 1, 65536), fc.nat(65536)),
  asymmetryQ8: fc.oneof(fc.constantFrom(0, 128, 256), fc.nat(256)),
  blocks: fc.constantFrom(1, 2, 4, 8, 16),
  mode: fc.constantFrom('step' as const, 'integer' as const),
  budgetQ16: fc.nat(32_512),
  strict: fc.constant(false),
});

test('random tensors and plans: the bytes and values of TypeScript', () => {
  let encodedHere = 0;
  fc.assert(
    fc.property(anyData, anyPlan, (data, plan) => {
      const wanted = encodeInTypescript(data, [data.length], plan);
      const encoded = encodeSlicer(data, [data.length], plan);
      if (encoded) {
        expect(encoded).toEqual(wanted);
        encodedHere++;
      }
      const values = decodeSlicer(wanted, data.length);
      if (values) expect(bitsOf(values)).toEqual(bitsOf(decodeInTypescript(wanted, data.length)));
      else expect(wanted.flags & TENSOR_FLAGS.CONST).toBe(TENSOR_FLAGS.CONST);
    }),
    { numRuns: 3000 },
  );
  expect(encodedHere).toBeGreaterThan(1500);
});

test('a million elements', () => {
  const next = randomBits(99);
  const data = Float32Array.from({ length: 2 ** 20 + 5 }, () => (next() >>> 8) / 2 ** 24 - 0.5);
  const plan: SlicerPlan = {
    keepQ16: 40_000,
    asymmetryQ8: 200,
    blocks: 8,
    mode: 'step',
    budgetQ16: 2000,
    strict: true,
  };
  const wanted = encodeInTypescript(data, [data.length], plan);
  expect(Buffer.compare(encodeSlicer(data, [data.length], plan)!.payload, wanted.payload)).toBe(0);
  const values = decodeSlicer(wanted, data.length)!;
  expect(
    Buffer.compare(Buffer.from(values.buffer), Buffer.from(decodeInTypescript(wanted, data.length).buffer)),
  ).toBe(0);
});

test('damaged tensors: the answers of TypeScript, and no trap', () => {
  const seeds = VECTORS.filter((v) => !v.refused && v.shape.reduce((a, b) => a * b) <= 1300)
    .map((v) => slowEncode(v.data(), v.shape, v.plan))
    .filter((tensor) => !(tensor.flags & TENSOR_FLAGS.CONST));
  const { decoded, refused } = expectSameAnswers(
    seeds,
    decodeSlicer,
    decodeInTypescript,
    30_000,
    randomBits(7),
  );
  expect(decoded).toBeGreaterThan(3000);
  expect(refused).toBeGreaterThan(3000);
});
