// The fast codec against the reference: equal bytes and equal values on every vector and on random tensors.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SlicerPlan } from '../params.ts';
import { decodeSlicer as slowDecode } from '../reference/decodeSlicer.ts';
import { encodeSlicer as slowEncode } from '../reference/encodeSlicer.ts';
import { VECTORS } from '../reference/vectors.ts';
import { decodeSlicer } from './decodeSlicer.ts';
import { encodeSlicer } from './encodeSlicer.ts';
import { selectRanks } from './selectRanks.ts';

/** Tensors with many ties, zeros and extremes, of every length that matters to words of 32 bits. */
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
);

const anyPlan: fc.Arbitrary<SlicerPlan> = fc.record({
  keepQ16: fc.oneof(fc.constantFrom(0, 1, 65536), fc.nat(65536)),
  asymmetryQ8: fc.oneof(fc.constantFrom(0, 128, 256), fc.nat(256)),
  blocks: fc.constantFrom(1, 2, 4, 8, 16),
  mode: fc.constantFrom('step' as const, 'integer' as const),
  budgetQ16: fc.nat(32_512),
  strict: fc.constant(false),
});

describe('every vector', () => {
  test.each(VECTORS)('$name', (v) => {
    if (v.refused) {
      expect(() => encodeSlicer(v.data(), v.shape, v.plan)).toThrowError(
        expect.objectContaining({ code: 'FEATURE_NOT_FINITE' }),
      );
      return;
    }
    const data = v.data();
    const fast = encodeSlicer(data, v.shape, v.plan);
    expect(fast).toEqual(slowEncode(v.data(), v.shape, v.plan));
    expect(new Uint32Array(data.buffer)).toEqual(new Uint32Array(v.data().buffer));
    const values = decodeSlicer(fast, data.length);
    expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(slowDecode(fast).buffer));
  });
});

test('random tensors and plans: equal bytes, equal values, bounded error', () => {
  fc.assert(
    fc.property(anyData, anyPlan, (data, plan) => {
      const shape = [data.length];
      const fast = encodeSlicer(data, shape, plan);
      expect(fast).toEqual(slowEncode(data, shape, plan));
      const values = decodeSlicer(fast, data.length);
      expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(slowDecode(fast).buffer));
    }),
    { numRuns: 3000 },
  );
});

test('step budget: survivors are off by at most half a step, or half of 1/255 of their block', () => {
  const bounded = fc.float32Array({
    minLength: 2,
    maxLength: 300,
    noNaN: true,
    noDefaultInfinity: true,
    min: -64,
    max: 64,
  });
  fc.assert(
    fc.property(
      bounded,
      fc.integer({ min: 0, max: 65536 }),
      fc.constantFrom(1, 4, 16),
      (data, budgetQ16, blocks) => {
        const plan: SlicerPlan = {
          keepQ16: 65536,
          asymmetryQ8: 256,
          blocks,
          mode: 'step',
          budgetQ16,
          strict: true,
        };
        const values = decodeSlicer(encodeSlicer(data, [data.length], plan), data.length);
        const largest = data.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
        const bound = (Math.max(budgetQ16 / 65536, 1 / 255) / 2) * largest + largest * 2 ** -21;
        data.forEach((x, i) => {
          if (Math.abs(x - values[i]!) > bound) expect.fail(`${x} became ${values[i]}, bound ${bound}`);
        });
      },
    ),
    { numRuns: 2000 },
  );
});

test('selectRanks equals sorting', () => {
  const values = fc.array(fc.oneof(fc.nat(0x7fffffff), fc.nat(3), fc.constant(0x7fffffff)), {
    minLength: 1,
    maxLength: 400,
  });
  fc.assert(
    fc.property(values, fc.array(fc.nat(399), { maxLength: 15 }), (list, wanted) => {
      const sorted = [...list].sort((a, b) => b - a);
      const ranks = [...new Set(wanted.map((r) => (r % list.length) + 1))].sort((a, b) => a - b);
      expect(selectRanks(Uint32Array.from(list), list.length, ranks)).toEqual(
        ranks.map((r) => ({ value: sorted[r - 1], larger: sorted.findIndex((x) => x === sorted[r - 1]) })),
      );
    }),
    { numRuns: 1000 },
  );
});
