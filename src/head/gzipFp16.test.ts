// float16 by bit patterns against the platform's own Float16Array, and the weight against zlib.
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { gzipFp16Bytes, toHalf } from './gzipFp16.ts';

/** Node 24 has it; TypeScript's ES2023 does not know it. */
const Half = (
  globalThis as unknown as { Float16Array?: new (values: Float32Array) => { buffer: ArrayBuffer } }
).Float16Array;

test.skipIf(!Half)(
  'every half, its neighbours and the midpoints between halves round as the platform rounds',
  () => {
    const values: number[] = [
      Number.NaN,
      Infinity,
      -Infinity,
      65504,
      65519.99,
      65520,
      1e30,
      -1e-30,
      5.96e-8,
      2.98e-8,
    ];
    const bits = new Uint32Array(1);
    const float = new Float32Array(bits.buffer);
    for (let exponent = 90; exponent < 150; exponent++) {
      for (const mantissa of [0, 1, 0xfff, 0x1000, 0x1001, 0x2fff, 0x3000, 0x3001, 0x7fffff]) {
        for (const sign of [0, 1]) {
          bits[0] = ((sign << 31) | (exponent << 23) | mantissa) >>> 0;
          values.push(float[0]!);
        }
      }
    }
    const input = Float32Array.from(values);
    expect(new Uint16Array(toHalf(input).buffer)).toEqual(new Uint16Array(new Half!(input).buffer));
  },
);

test('weighs what gzip makes of the halves', async () => {
  const data = Float32Array.from({ length: 5000 }, (_, i) => Math.max(0, Math.sin(i * i)));
  const weight = await gzipFp16Bytes([{ dtype: 'float32', shape: [5000], data }]);
  const reference = gzipSync(toHalf(data)).length;
  expect(Math.abs(weight - reference) / reference).toBeLessThan(0.02);
});
