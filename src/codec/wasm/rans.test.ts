// The rANS kernels against TypeScript: equal bytes, equal values on every vector and on random tensors, exact reciprocals;
// equal answers to damaged streams.
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeRans as decodeInTypescript } from '../cpu/decodeRans.ts';
import { encodeRans as encodeInTypescript } from '../cpu/encodeRans.ts';
import { type RansPlan, TENSOR_FLAGS } from '../params.ts';
import { encodeRans as slowEncode } from '../reference/encodeRans.ts';
import { LaneEncoder, writeStream } from '../reference/rans.ts';
import { cumulative, normalise } from '../reference/ransTable.ts';
import { RANS_VECTORS } from '../reference/ransVectors.ts';
import { randomBits } from '../reference/vectors.ts';
import { Arena } from './arena.ts';
import { decodeRans } from './decodeRans.ts';
import { encodeRans } from './encodeRans.ts';
import { decodeSymbols, encodeSymbols } from './ransStream.ts';
import { bitsOf, expectSameAnswers, needKernels } from './wasmTesting.fixture.ts';

beforeAll(() => void needKernels());

describe('every vector', () => {
  test.each(RANS_VECTORS)('$name', (v) => {
    const data = v.data();
    const encoded = encodeRans(data, v.shape, v.plan);
    expect(bitsOf(data)).toEqual(bitsOf(v.data()));
    if (v.refused) return expect(encoded).toBeUndefined();
    const wanted = slowEncode(v.data(), v.shape, v.plan);
    if (wanted.flags & TENSOR_FLAGS.CONST) return expect(encoded).toBeUndefined();
    expect(encoded).toEqual(wanted);
    const values = decodeRans(wanted, data.length)!;
    expect(bitsOf(values)).toEqual(bitsOf(decodeInTypescript(wanted, data.length)));
  });
});

const anyData = fc.oneof(
  fc.float32Array({ maxLength: 300 }),
  fc
    .array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 300 })
    .map((a) => Float32Array.from(a)),
  fc
    .record({
      seed: fc.nat(),
      rows: fc.integer({ min: 1, max: 300 }),
      columns: fc.integer({ min: 1, max: 300 }),
    })
    .map(({ seed, rows, columns }) => {
      const next = randomBits(seed);
      const bias = (next() >>> 24) / 256;
      const relu = next() % 2;
      return Float32Array.from({ length: rows * columns }, () => {
        const x = (next() >>> 8) / 2 ** 24 - bias;
        return relu ? Math.max(0, x) : x;
      });
    }),
);

const anyPlan: fc.Arbitrary<RansPlan> = fc.record({
  bits: fc.integer({ min: 2, max: 8 }),
  lanes: fc.constantFrom(undefined, 1, 2, 4, 8, 64, 1024),
  strict: fc.constant(false),
});

test('random tensors and plans: the bytes and values of TypeScript', () => {
  let encodedHere = 0;
  fc.assert(
    fc.property(anyData, anyPlan, (data, plan) => {
      const wanted = encodeInTypescript(data, [data.length], plan);
      const encoded = encodeRans(data, [data.length], plan);
      if (wanted.flags & TENSOR_FLAGS.CONST) {
        expect(encoded).toBeUndefined();
        return;
      }
      expect(encoded).toEqual(wanted);
      expect(bitsOf(decodeRans(wanted, data.length)!)).toEqual(
        bitsOf(decodeInTypescript(wanted, data.length)),
      );
      encodedHere++;
    }),
    { numRuns: 600 },
  );
  expect(encodedHere).toBeGreaterThan(400);
});

test('the coder alone: the reference stream for any table and number of lanes, and back', () => {
  const weights = fc.array(fc.oneof(fc.constant(0), fc.nat(9), fc.nat(100_000)), {
    minLength: 1,
    maxLength: 256,
  });
  fc.assert(
    fc.property(
      weights,
      fc.nat(3000),
      fc.constantFrom(1, 2, 4, 8, 32, 1024),
      fc.nat(),
      (counts, count, lanes, seed) => {
        if (!counts.some((n) => n > 0)) counts[0] = 1;
        const table = normalise(counts);
        const sums = cumulative(table);
        const next = randomBits(seed);
        const symbols = Uint8Array.from({ length: count }, () => {
          const slot = next() >>> 20;
          return table.findIndex((f, s) => slot >= sums[s]! && slot < sums[s]! + f);
        });
        const encoders = Array.from({ length: lanes }, () => new LaneEncoder());
        for (let i = count - 1; i >= 0; i--)
          encoders[i % lanes]!.put(table[symbols[i]!]!, sums[symbols[i]!]!);
        const wanted = writeStream(encoders.map((lane) => lane.finish()));
        expect(encodeSymbols(symbols, table, lanes)).toEqual(wanted);
        expect(decodeSymbols(wanted, table, lanes, count)).toEqual(symbols);
      },
    ),
    { numRuns: 400 },
  );
});

test('reciprocals: the quotient is exact for every frequency', () => {
  const kernels = needKernels();
  const arena = new Arena(kernels);
  const freqs = arena.take(4);
  const table = arena.take(32);
  arena.grow();
  // A quotient is most in danger just below a multiple of f, and the more so the larger it is.
  const quotients = [0, 1, 2, 4095, 4096, 65_535, 2 ** 19, 2 ** 20 - 2, 2 ** 20 - 1].map(BigInt);
  for (let f = 1; f <= 4096; f++) {
    arena.halfwords(freqs, 2).set([f, 4096 - f]);
    kernels.ransEncodeTable(freqs, 2, table);
    const [low, high, , limit] = arena.words(table, 4) as unknown as [number, number, number, number];
    const m = BigInt(low) + (BigInt(high) << 32n);
    expect(limit).toBe(f * 2 ** 20 - 1);
    for (const q of quotients) {
      for (const x of [q * BigInt(f), q * BigInt(f) + BigInt(f - 1)]) {
        if (x * m >= 2n ** 64n || (x * m) >> 44n !== q) expect.fail(`${x} / ${f} became ${(x * m) >> 44n}`);
      }
    }
  }
});

test('damaged tensors: the answers of TypeScript, and no trap', () => {
  const small = RANS_VECTORS.filter((v) => !v.refused && v.shape.reduce((a, b) => a * b) <= 4000);
  const seeds = small
    .flatMap((v) => [v.plan, { ...v.plan, lanes: 4 }].map((plan) => slowEncode(v.data(), v.shape, plan)))
    .filter((tensor) => !(tensor.flags & TENSOR_FLAGS.CONST));
  const { decoded, refused } = expectSameAnswers(
    seeds,
    decodeRans,
    decodeInTypescript,
    20_000,
    randomBits(11),
  );
  expect(decoded).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(3000);
});
