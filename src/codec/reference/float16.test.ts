// float16 by bit patterns against the platform's own Float16Array: every one of the 65536 patterns there and back, every
// boundary between two of them, and what lies beyond the largest.
import { expect, test } from 'vitest';
import { narrow, toFloat16, toFloat32, widen } from './float16.ts';
import { randomBits } from './vectors.ts';

/** Node has it; the TypeScript library that the sources are checked against does not. */
const Float16 = (globalThis as unknown as { Float16Array: Uint16ArrayConstructor }).Float16Array;
const every = Uint16Array.from({ length: 65536 }, (_, i) => i);
const isNaNPattern = (h: number) => (h & 0x7fff) > 0x7c00;
const isInfinity = (h: number) => (h & 0x7fff) === 0x7c00;

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);
const half = new Uint16Array(1);
const native = new Float16(half.buffer);

/** What the platform rounds a float32 pattern to, with ±65504 in place of infinity. */
function platform(pattern: number): number {
  word[0] = pattern;
  native[0] = float[0]!;
  return isInfinity(half[0]!) ? half[0]! - 1 : half[0]!;
}

test('every pattern widens to the number it stands for', () => {
  const values = new Float16(every.buffer);
  const wide = toFloat32(every);
  for (let h = 0; h < 65536; h++) if (!Object.is(wide[h], values[h])) expect.fail(`pattern ${h}: ${wide[h]}`);
});

test('every pattern comes back, infinity as the largest finite number', () => {
  const back = toFloat16(toFloat32(every));
  for (let h = 0; h < 65536; h++) {
    const want = isNaNPattern(h) ? (h & 0x8000) | 0x7e00 : isInfinity(h) ? h - 1 : h;
    if (back[h] !== want) expect.fail(`pattern ${h} came back as ${back[h]}`);
  }
});

test('rounds to nearest even at, below and above the middle between any two neighbours', () => {
  for (let h = 0; h < 0x7bff; h++) {
    const middle = (widen(h) + widen(h + 1)) / 2;
    for (const sign of [0, 0x80000000])
      for (const near of [-1, 0, 1]) {
        const pattern = (middle + near + sign) >>> 0;
        if (narrow(pattern) !== platform(pattern)) expect.fail(`between ${h} and its neighbour, ${near}`);
      }
  }
});

test('rounds any float32 as the platform does, and never to infinity', () => {
  const random = randomBits(16);
  for (let n = 0; n < 300_000; n++) {
    const x = random();
    // Half of them where float16 lives, the others anywhere.
    const pattern = n % 2 ? (x & 0x8fffffff) | 0x30000000 : x;
    if ((pattern & 0x7fffffff) > 0x7f800000) continue;
    if (narrow(pattern) !== platform(pattern)) expect.fail(`pattern ${pattern}`);
  }
  for (const x of [65504, 65519.99, 65520, 65536, 1e30, Number.MAX_VALUE, Number.POSITIVE_INFINITY])
    expect([...toFloat16(Float32Array.of(x, -x))]).toEqual([0x7bff, 0xfbff]);
});

test('a view into a larger array is read from its own beginning', () => {
  const floats = Float32Array.of(9, 9, 1, -2).subarray(2);
  expect([...toFloat16(floats)]).toEqual([0x3c00, 0xc000]);
});
