// The bound on what `rans` reads back holds for features made to be dear, and stays below the feature itself.
import { expect, test } from 'vitest';
import { encodeRans } from '../cpu/encodeRans.ts';
import { RANS_VECTORS } from '../reference/ransVectors.ts';
import { randomBits } from '../reference/vectors.ts';
import { payloadBound } from './ransFamily.ts';

function noise(count: number, seed: number): Float32Array {
  const next = randomBits(seed);
  return Float32Array.from({ length: count }, () => (next() >>> 8) / 2 ** 23 - 1);
}

test.each([2, 3, 4, 6, 8])(
  'noise at %i bits: nearly every element is present, no code is likelier',
  (bits) => {
    for (const count of [2, 3, 17, 255, 256, 7919, 65_536, 55_440])
      for (const lanes of [1, 64, 1024]) {
        const { payload } = encodeRans(noise(count, count), [count], { bits, lanes, strict: false });
        const directory = 6 * lanes; // travels beside the words
        expect(payload.length - directory).toBeLessThanOrEqual(payloadBound(count, bits, lanes));
      }
  },
);

test('every vector', () => {
  for (const { data, shape, plan } of RANS_VECTORS) {
    const { payload } = encodeRans(data(), shape, { ...plan, strict: false });
    expect(payload.length).toBeLessThanOrEqual(
      payloadBound(data().length, plan.bits, 1) + 6 * (plan.lanes ?? 64),
    );
  }
});

test('a feature of a million elements reads back at most two thirds of itself', () => {
  expect(payloadBound(2 ** 20, 4, 256)).toBeLessThan((2 / 3) * 4 * 2 ** 20);
  expect(payloadBound(2 ** 20, 8, 256)).toBeLessThan((2 / 3) * 4 * 2 ** 20);
});
