// The kernels of family `isthmus` against TypeScript: equal bytes, equal values on every vector and on random tensors; equal
// answers to damaged ones.
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeIsthmus as decodeInTypescript } from '../cpu/decodeIsthmus.ts';
import { encodeIsthmus as encodeInTypescript } from '../cpu/encodeIsthmus.ts';
import { type IsthmusPlan, planIsthmus } from '../isthmusPlan.ts';
import { TENSOR_FLAGS } from '../params.ts';
import { encodeIsthmus as slowEncode } from '../reference/encodeIsthmus.ts';
import { MADE_PROFILES } from '../reference/isthmusProfiles.ts';
import { ISTHMUS_VECTORS } from '../reference/isthmusVectors.ts';
import { channels } from '../reference/ransVectors.ts';
import { randomBits } from '../reference/vectors.ts';
import { decodeIsthmus } from './decodeIsthmus.ts';
import { encodeIsthmus } from './encodeIsthmus.ts';
import { bitsOf, expectSameAnswers, needKernels } from './wasmTesting.fixture.ts';

beforeAll(() => void needKernels());

const profiles = (name: string) => Object.values(MADE_PROFILES).find((profile) => profile.name === name);
const byTrial = ({ step: { kind } }: IsthmusPlan) => kind === 'bytes' || kind === 'distortion';

describe('every vector', () => {
  test.each(ISTHMUS_VECTORS)('$name', (v) => {
    const data = v.data();
    const encoded = encodeIsthmus(data, v.shape, v.plan);
    expect(bitsOf(data)).toEqual(bitsOf(v.data()));
    if (v.refused) return expect(encoded).toBeUndefined();
    const wanted = slowEncode(v.data(), v.shape, v.plan);
    if (wanted.flags & TENSOR_FLAGS.CONST) return expect(encoded).toBeUndefined();
    if (byTrial(v.plan)) expect(encoded).toBeUndefined();
    else expect(encoded).toEqual(wanted);
    const values = decodeIsthmus(wanted, data.length, profiles)!;
    expect(bitsOf(values)).toEqual(bitsOf(decodeInTypescript(wanted, data.length, profiles)));
  });
});

const anyShape = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
  fc.tuple(
    fc.integer({ min: 1, max: 12 }),
    fc.constantFrom(7, 14, 16, 28),
    fc.constantFrom(7, 14, 16, 28, 33),
  ),
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1000, max: 2500 })),
);

const anyPlan: fc.Arbitrary<IsthmusPlan> = fc
  .record({
    transform: fc.constantFrom('dct' as const, 'none' as const),
    tables: fc.constantFrom(undefined, 'default' as const, 'sent' as const),
    quality: fc.integer({ min: 0, max: 100 }),
    lanes: fc.constantFrom(undefined, 1, 2, 4, 8),
  })
  .map(({ tables, lanes, ...plan }) =>
    planIsthmus({ family: 'isthmus', ...plan, ...(tables && { tables }), ...(lanes && { lanes }) }),
  );

test('random tensors and plans: the bytes and values of TypeScript', () => {
  let encodedHere = 0;
  fc.assert(
    fc.property(anyShape, anyPlan, fc.nat(), fc.boolean(), (shape, plan, seed, smooth) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const next = randomBits(seed);
      const data = smooth
        ? channels(count, 64, seed, seed % 2 ? 0.3 : undefined)
        : Float32Array.from({ length: count }, () => (next() >>> 8) / 2 ** 24 - 0.5);
      const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
      const possible = plan.lanes !== undefined && plan.lanes > rows ? { ...plan, lanes: undefined } : plan;
      const wanted = encodeInTypescript(data, shape, possible);
      const encoded = encodeIsthmus(data, shape, possible);
      if (wanted.flags & TENSOR_FLAGS.CONST) {
        expect(encoded).toBeUndefined();
        return;
      }
      expect(encoded).toEqual(wanted);
      const values = decodeIsthmus(wanted, count, profiles)!;
      expect(bitsOf(values)).toEqual(bitsOf(decodeInTypescript(wanted, count, profiles)));
      encodedHere++;
    }),
    { numRuns: 600 },
  );
  expect(encodedHere).toBeGreaterThan(400);
});

test('more lanes than rows, and profiles that do not fit, are left to TypeScript', () => {
  const data = channels(64, 8, 1);
  const plan = planIsthmus({ family: 'isthmus', lanes: 16 });
  expect(encodeIsthmus(data, [8, 8], plan)).toBeUndefined();
  const [profile] = Object.values(MADE_PROFILES);
  const misfit = planIsthmus({ family: 'isthmus', profile: profile! });
  expect(encodeIsthmus(data.subarray(0, 1), [1], misfit)).toBeUndefined();
});

test('damaged tensors: the answers of TypeScript, and no trap', () => {
  const small = ISTHMUS_VECTORS.filter((v) => !v.refused && v.shape.reduce((a, b) => a * b, 1) <= 3000);
  const seeds = small
    .map((v) => slowEncode(v.data(), v.shape, v.plan))
    .filter((tensor) => !(tensor.flags & TENSOR_FLAGS.CONST));
  const { decoded, refused } = expectSameAnswers(
    seeds,
    (tensor, total) => decodeIsthmus(tensor, total, profiles),
    (tensor, total) => decodeInTypescript(tensor, total, profiles),
    10_000,
    randomBits(13),
  );
  expect(decoded).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(3000);
});
