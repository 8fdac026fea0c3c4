// Resampling against PIL's own output, against a double-precision definition, and against the clock.
import { describe, expect, test } from 'vitest';
import type { Pixels } from '../head/runtime.ts';
import { overWhite, resample, weightTable } from './resample.ts';

/** Deterministic bytes; PIL produced the expected values below from the same sequence. */
function bytes(count: number): number[] {
  let x = 12345;
  return Array.from({ length: count }, () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x >>> 24;
  });
}

function grey(width: number, height: number): Pixels {
  const data = Uint8Array.from(bytes(width * height).flatMap((v) => [v, v, v, 255]));
  return { width, height, data };
}

function noise(width: number, height: number, opaque = true): Pixels {
  const data = Uint8Array.from(bytes(width * height * 4), (v, i) => (opaque && i % 4 === 3 ? 255 : v));
  return { width, height, data };
}

/** The definition, written the slow way: both axes at once, everything in double precision. */
function definition(p: Pixels, width: number, height: number, x: number, y: number, channel: number): number {
  const axis = (i: number, inSize: number, outSize: number) => {
    const scale = inSize / outSize;
    const support = Math.max(1, scale);
    const weights = Array.from({ length: inSize }, (_, j) =>
      Math.max(0, 1 - Math.abs((j + 0.5 - (i + 0.5) * scale) / support)),
    );
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((w) => w / sum);
  };
  const across = axis(x, p.width, width);
  const down = axis(y, p.height, height);
  let value = 0;
  down.forEach((wy, j) => {
    across.forEach((wx, i) => {
      const at = (j * p.width + i) * 4;
      const alpha = p.data[at + 3]! / 255;
      value += wy * wx * Math.round(p.data[at + channel]! * alpha + 255 * (1 - alpha));
    });
  });
  return value;
}

const PIL_CASES = [
  [
    7,
    5,
    4,
    3,
    [
      69.6871, 126.48, 162.7714, 104.1701, 146.8095, 134.7956, 153.0889, 184.1905, 122.4898, 94.8686, 91.2514,
      107.585,
    ],
  ],
  [
    3,
    2,
    5,
    4,
    [
      5.0, 4.6, 4.0, 85.0, 139.0, 44.25, 50.95, 61.0, 91.15, 111.25, 122.75, 143.65, 175.0, 103.45, 55.75,
      162.0, 190.0, 232.0, 109.6, 28.0,
    ],
  ],
  [40, 3, 3, 2, [136.5313, 143.7641, 117.2972, 154.4984, 134.0326, 136.3644]],
] as const;

describe('resample', () => {
  test.each(PIL_CASES)('equals PIL for %s×%s → %s×%s', (w, h, outW, outH, expected) => {
    const out = resample(grey(w, h), weightTable(w, outW), weightTable(h, outH));
    expected.forEach((value, i) => {
      expect(out[i * 3]).toBeCloseTo(value, 3);
    });
    expect(out.length).toBe(expected.length * 3);
  });

  test.each([
    [31, 17, 9, 13, 2, 5],
    [17, 31, 40, 8, 11, 3],
    [64, 48, 64, 48, 0, 0],
    [5, 90, 7, 3, 1, 0],
  ])(
    '%s×%s → %s×%s, window from %s,%s: within 1e-4 of the definition, alpha included',
    (w, h, outW, outH, x0, y0) => {
      const picture = noise(w, h, false);
      const [nx, ny] = [outW - x0, outH - y0];
      const out = resample(picture, weightTable(w, outW, x0, nx), weightTable(h, outH, y0, ny));
      for (let y = 0; y < ny; y++)
        for (let x = 0; x < nx; x++)
          for (let c = 0; c < 3; c++) {
            const want = definition(picture, outW, outH, x + x0, y + y0, c);
            const got = out[(y * nx + x) * 3 + c]!;
            if (Math.abs(got - want) > 1e-4) expect.fail(`${x},${y},${c}: ${got}, not ${want}`);
          }
    },
  );

  test('tables never reach outside, sum to one, and their starts rise', () => {
    for (const [inSize, outSize] of [
      [1, 1],
      [1, 9],
      [9, 1],
      [100, 7],
      [7, 100],
      [3000, 256],
      [257, 256],
    ] as const) {
      const { start, weights, taps } = weightTable(inSize, outSize);
      start.forEach((s, i) => {
        expect(s + taps).toBeLessThanOrEqual(inSize);
        expect(s).toBeGreaterThanOrEqual(i ? start[i - 1]! : 0);
        const sum = weights.slice(i * taps, (i + 1) * taps).reduce((a, b) => a + b, 0);
        expect(sum).toBeCloseTo(1, 5);
      });
    }
  });

  test('overWhite is the rounded quotient for every value and alpha', () => {
    for (let value = 0; value < 256; value++)
      for (let alpha = 0; alpha < 256; alpha++) {
        const want = Math.round((value * alpha + 255 * (255 - alpha)) / 255);
        if (overWhite(value, alpha) !== want) expect.fail(`${value} at alpha ${alpha}`);
      }
  });

  test('refuses a picture whose bytes do not fit its size', () => {
    const lying = { width: 4, height: 4, data: new Uint8Array(63) };
    expect(() => resample(lying, weightTable(4, 2), weightTable(4, 2))).toThrowError(/needs 64 RGBA bytes/);
  });
});
