// Family `isthmus`: the reference against its committed vectors, the fast pair against the reference, for vectors and for
// arbitrary features, and what a decoder gets back.
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32 } from '../../wire/crc32.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import { decodeIsthmus as fastDecode } from '../cpu/decodeIsthmus.ts';
import { encodeIsthmus as fastEncode } from '../cpu/encodeIsthmus.ts';
import { type IsthmusPlan, LADDER, planIsthmus } from '../isthmusPlan.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { misfit, viewOf } from '../profile.ts';
import { decodeIsthmus } from './decodeIsthmus.ts';
import { encodeIsthmus } from './encodeIsthmus.ts';
import { sanitise } from './float.ts';
import { ISTHMUS_EXPECTED } from './isthmusExpected.ts';
import { MADE_PROFILES, type MadeProfile, madeProfile, madeProfileByName } from './isthmusProfiles.ts';
import { readIsthmusParams } from './isthmusSetup.ts';
import { ISTHMUS_VECTORS, type IsthmusVector } from './isthmusVectors.ts';
import { channels } from './ransVectors.ts';

const accepted = ISTHMUS_VECTORS.filter((v) => !v.refused);

function frameOf(tensor: EncodedTensor): Uint8Array {
  return writeFrame({ kind: 'request', modelTag: '0123456789abcdef', cut: 0, meta: {}, tensors: [tensor] });
}

const encode = (v: IsthmusVector) => encodeIsthmus(v.data(), v.shape, v.plan);
const sizeOf = (tensor: EncodedTensor) => tensor.params.length + tensor.payload.length;

if (process.env.ISTHMUS_WRITE_VECTORS) {
  const rows = accepted.map((v) => {
    const frame = frameOf(encode(v));
    return `  ${JSON.stringify(v.name)}: { bytes: ${frame.length}, crc32: 0x${crc32(frame).toString(16).padStart(8, '0')} },\n`;
  });
  const head = `// Length and CRC-32 of the reference frame of every \`isthmus\` vector: the bytes that every encoder has to make. Written by
// isthmus.test.ts with ISTHMUS_WRITE_VECTORS=1; a change here is a change of the format.
export const ISTHMUS_EXPECTED: Readonly<Record<string, { bytes: number; crc32: number }>> = {
`;
  writeFileSync(new URL('./isthmusExpected.ts', import.meta.url), `${head}${rows.join('')}};\n`);
}

test('names are unique and every accepted vector has its expectation', () => {
  expect(new Set(ISTHMUS_VECTORS.map((v) => v.name)).size).toBe(ISTHMUS_VECTORS.length);
  expect(Object.keys(ISTHMUS_EXPECTED).sort()).toEqual(accepted.map((v) => v.name).sort());
});

/** Both encoders make the same tensor, both decoders the same finite elements. */
function expectAgreement(data: Float32Array, shape: readonly number[], plan: IsthmusPlan): EncodedTensor {
  const encoded = encodeIsthmus(data, shape, plan);
  expect(fastEncode(data, shape, plan)).toEqual(encoded);
  const decoded = decodeIsthmus(encoded, data.length, madeProfileByName);
  expect(fastDecode(encoded, data.length, madeProfileByName)).toEqual(decoded);
  expect(decoded.every(Number.isFinite)).toBe(true);
  return encoded;
}

test.each(accepted)('$name: the committed bytes, from both encoders; both decoders agree', (v) => {
  const frame = frameOf(expectAgreement(v.data(), v.shape, v.plan));
  expect({ bytes: frame.length, crc32: crc32(frame) }).toEqual(ISTHMUS_EXPECTED[v.name]);
});

test.each(ISTHMUS_VECTORS.filter((v) => v.refused))('$name: refused', (v) => {
  const refusal = expect.objectContaining({ code: 'FEATURE_NOT_FINITE' });
  expect(() => encode(v)).toThrowError(refusal);
  expect(() => fastEncode(v.data(), v.shape, v.plan)).toThrowError(refusal);
});

/** Squared error and energy of the finite elements. */
function errorOf(data: Float32Array, encoded: EncodedTensor): { error: number; energy: number } {
  const clean = new Float32Array(sanitise(data, false).bits.buffer);
  const decoded = fastDecode(encoded, data.length, madeProfileByName);
  let error = 0;
  let energy = 0;
  clean.forEach((x, i) => {
    error += (x - decoded[i]!) ** 2;
    energy += x ** 2;
  });
  return { error, energy };
}

/**
 * The block transform is nearly orthonormal, so the mean squared error of the elements is that of the coefficients: at most
 * (1 - dead zone)² of a step, plus what fixed point and the transform's rounding add.
 */
test.each(accepted.filter((v) => !v.plan.profile))('$name: the error is bounded by the step', (v) => {
  const data = v.data();
  const encoded = encode(v);
  const { error } = errorOf(data, encoded);
  if (encoded.flags & TENSOR_FLAGS.CONST) return expect(error).toBe(0);
  const { header, setup } = readIsthmusParams(encoded.params, v.shape, madeProfileByName);
  if (v.name.includes('cap') || v.name.includes('tiny')) return; // these go beyond the largest magnitude on purpose
  const unit = 2 ** (setup.exponent - 139);
  expect(Math.sqrt(error / data.length) / unit).toBeLessThan(0.67 * header.step + 2);
});

test('targets are met, by the finest or the coarsest step that does', () => {
  const shape = [8, 16, 16];
  const data = channels(2048, 256, 5);
  const at = (wish: object) => encodeIsthmus(data, shape, planIsthmus({ family: 'isthmus', ...wish }));
  const stepOf = (tensor: EncodedTensor) =>
    readIsthmusParams(tensor.params, shape, () => undefined).header.step;
  for (const targetBytes of [200, 400, 800, 1600]) {
    const tensor = at({ targetBytes });
    expect(sizeOf(tensor)).toBeLessThanOrEqual(targetBytes);
    const finer = LADDER[LADDER.indexOf(stepOf(tensor)) - 1]!;
    const plan: IsthmusPlan = { ...planIsthmus({ family: 'isthmus' }), step: { kind: 'fixed', step: finer } };
    expect(sizeOf(encodeIsthmus(data, shape, plan))).toBeGreaterThan(targetBytes);
  }
  for (const targetDistortion of [0.001, 0.01, 0.1]) {
    const { error, energy } = errorOf(data, at({ targetDistortion }));
    expect(error / energy).toBeLessThan(1.02 * targetDistortion);
    expect(error / energy).toBeGreaterThan(0.5 * targetDistortion);
  }
});

test('quality orders bytes and error, and halves the step every 12.5', () => {
  const shape = [8, 16, 16];
  const data = channels(2048, 256, 6);
  const tensors = [0, 20, 40, 52.5, 65, 100].map((quality) =>
    encodeIsthmus(data, shape, planIsthmus({ family: 'isthmus', quality })),
  );
  const sizes = tensors.map(sizeOf);
  const errors = tensors.map((tensor) => errorOf(data, tensor).error);
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  expect(errors).toEqual([...errors].sort((a, b) => b - a));
  const steps = tensors.map(({ params }) => readIsthmusParams(params, shape, () => undefined).header.step);
  expect(steps[3]! / steps[4]!).toBeCloseTo(2, 1);
});

test('what a profile saturates, up to its largest exponent: both encoders agree on infinities too', () => {
  for (const exponent of [1, 126, 253, 254]) {
    const profile = madeProfile(400 + exponent, { channels: 1, exponent });
    const { POSITIVE_INFINITY, NEGATIVE_INFINITY, NaN: none } = Number;
    const data = Float32Array.of(
      POSITIVE_INFINITY,
      2e38,
      2 ** (exponent - 127),
      NEGATIVE_INFINITY,
      none,
      -3e38,
    );
    const plan = planIsthmus({ family: 'isthmus', profile, quality: 90 });
    expect(fastEncode(data, [2, 3], plan), `E = ${exponent}`).toEqual(encodeIsthmus(data, [2, 3], plan));
  }
});

describe('refusals of the encoder', () => {
  const data = new Float32Array(60).map((_, i) => i);
  const refusal = expect.objectContaining({ code: 'CODEC_INVALID' });
  test.each<[string, readonly number[], Partial<IsthmusPlan>]>([
    ['more lanes than rows', [3, 4, 5], { lanes: 16 }],
    ['planes that are no multiple of the channels', [15, 2, 2], { profile: MADE_PROFILES.usual }],
    ['rows that do not fall into blocks', [1, 60], { profile: MADE_PROFILES.single }],
  ])('%s', (_, shape, change) => {
    const plan = { ...planIsthmus({ family: 'isthmus' }), ...change };
    expect(() => encodeIsthmus(data, shape, plan)).toThrowError(refusal);
    expect(() => fastEncode(data, shape, plan)).toThrowError(refusal);
  });
});

describe('properties', () => {
  const element = fc.oneof(
    { weight: 6, arbitrary: fc.float({ min: -4, max: 4, noNaN: true }) },
    { weight: 2, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.float() },
  );
  const steps = fc.oneof(
    fc.integer({ min: 1, max: 65536 }).map((step) => ({ kind: 'fixed', step }) as const),
    fc.nat(65536).map((budgetQ16) => ({ kind: 'relative', budgetQ16 }) as const),
    fc
      .double({ min: 1e-4, max: 1e4, noNaN: true })
      .map((step) => planIsthmus({ family: 'isthmus', step }).step),
    fc.integer({ min: 1, max: 400 }).map((target) => ({ kind: 'bytes', target }) as const),
    fc.double({ min: 0, max: 1, noNaN: true }).map((target) => ({ kind: 'distortion', target }) as const),
  );
  const plans = fc.record({
    profile: fc.constant(undefined),
    step: steps,
    transform: fc.constantFrom('dct', 'none'),
    sentTables: fc.option(fc.boolean(), { nil: undefined }),
    lanes: fc.constant(undefined),
    strict: fc.constant(false),
  });
  const repeated = (shape: readonly number[]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return fc
      .array(element, { minLength: Math.min(count, 1), maxLength: Math.min(count, 90) })
      .map((some) => Float32Array.from({ length: count }, (_, i) => some[(i * 7 + (i >> 5)) % some.length]!));
  };

  test('arbitrary features without a profile: fast and reference agree', () => {
    const cases = fc
      .array(fc.integer({ min: 1, max: 18 }), { maxLength: 4 })
      .filter((shape) => shape.reduce((a, b) => a * b, 1) <= 1500)
      .chain((shape) => fc.tuple(fc.constant(shape), repeated(shape), plans, fc.nat(5)));
    fc.assert(
      fc.property(cases, ([shape, data, plan, lanesLog]) => {
        const { planes, rows } = viewOf(shape);
        const lanes = lanesLog > 0 && 2 ** lanesLog <= planes * rows ? 2 ** lanesLog : undefined;
        expectAgreement(data, shape, { ...plan, lanes });
      }),
      { numRuns: 250 },
    );
  });

  test('arbitrary features with a profile: fast and reference agree', () => {
    const names = Object.keys(MADE_PROFILES) as MadeProfile[];
    const cases = fc
      .record({
        name: fc.constantFrom(...names),
        batches: fc.integer({ min: 1, max: 2 }),
        down: fc.integer({ min: 1, max: 3 }),
        across: fc.integer({ min: 1, max: 3 }),
      })
      .chain(({ name, batches, down, across }) => {
        const { channels: c, block } = MADE_PROFILES[name];
        const shape = [batches, c, down * block[0], across * block[1]];
        return fc.tuple(fc.constant(name), fc.constant(shape), repeated(shape), plans, fc.boolean());
      });
    fc.assert(
      fc.property(cases, ([name, shape, data, plan, own]) => {
        const profile = MADE_PROFILES[name];
        expect(misfit(viewOf(shape), profile)).toBeUndefined();
        const step = own ? ({ kind: 'fixed', step: profile.step } as const) : plan.step;
        expectAgreement(data, shape, { ...plan, step, profile });
      }),
      { numRuns: 60 },
    );
  });
});
