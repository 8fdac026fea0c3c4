// Preprocessing: sizes and offsets as torchvision has them, layouts, normalisation, refusals, and speed.
import { describe, expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import type { Preprocess } from '../model/manifest.ts';
import { cropPlan, normaliseOnly, preprocessImage, resizedSize, resizeToCrop } from './preprocess.ts';
import { weightTable } from './resample.ts';

const IMAGENET: Preprocess = {
  kind: 'image',
  input: 'input',
  resize: { short: 256 },
  crop: [224, 224],
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  layout: 'NCHW',
  channels: 'RGB',
};

const gradient = (width: number, height: number) => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 4 }, (_, i) => {
    const [x, y, c] = [(i >> 2) % width, Math.floor((i >> 2) / width), i & 3];
    return c === 3 ? 255 : c === 0 ? (x * 255) / width : c === 1 ? (y * 255) / height : (x ^ y) & 255;
  }),
});

describe('sizes', () => {
  test('the long side is truncated', () => {
    expect(resizedSize(500, 375, { short: 256 })).toEqual([341, 256]); // 341.33
    expect(resizedSize(375, 500, { short: 256 })).toEqual([256, 341]);
    expect(resizedSize(333, 500, { short: 256 })).toEqual([256, 384]); // 384.38
    expect(resizedSize(640, 480, { exact: [320, 240] })).toEqual([320, 240]);
  });

  test('crop offsets round halves to even, as Python does', () => {
    const at = (width: number) => {
      const plan = cropPlan(width, 256, IMAGENET);
      const candidates = [...Array(width - 224 + 1).keys()];
      return candidates.find((x) => weightTable(width, width, x, 224).start[0] === plan.horizontal.start[0]);
    };
    expect(cropPlan(256, 256, IMAGENET).width).toBe(224);
    expect(at(341)).toBe(58); // 58.5
    expect(at(343)).toBe(60); // 59.5
  });
});

describe('preprocessImage', () => {
  test('NHWC and BGR are the same numbers at other places', () => {
    const picture = gradient(300, 280);
    const neutral: Preprocess = { ...IMAGENET, mean: [0, 0, 0], std: [1, 1, 1] };
    const a = preprocessImage(picture, neutral);
    const b = preprocessImage(picture, { ...neutral, layout: 'NHWC', channels: 'BGR' });
    expect(a.shape).toEqual([1, 3, 224, 224]);
    expect(b.shape).toEqual([1, 224, 224, 3]);
    const area = 224 * 224;
    for (let i = 0; i < area; i += 97)
      for (let c = 0; c < 3; c++) expect(b.data[i * 3 + c]).toBe(a.data[(2 - c) * area + i]);
  });

  test('normalises to (value/255 - mean) / std', () => {
    const data = new Uint8Array(256 * 256 * 4).fill(255).map((v, i) => (i % 4 === 1 ? 51 : v));
    const { data: out } = preprocessImage({ width: 256, height: 256, data }, IMAGENET);
    expect(out[0]).toBeCloseTo((1 - 0.485) / 0.229, 5);
    expect(out[224 * 224]).toBeCloseTo((0.2 - 0.456) / 0.224, 5);
  });

  test('resizeToCrop followed by normaliseOnly stays within half a byte of the direct way', () => {
    const picture = gradient(517, 390);
    const direct = preprocessImage(picture, IMAGENET).data as Float32Array;
    const detour = normaliseOnly(resizeToCrop(picture, IMAGENET), IMAGENET).data as Float32Array;
    const largest = direct.reduce((m, v, i) => Math.max(m, Math.abs(v - detour[i]!)), 0);
    expect(largest * 0.225 * 255).toBeLessThan(0.52);
    expect(largest).toBeGreaterThan(0);
  });

  test('refuses what cannot work, by code', () => {
    const code = (f: () => unknown) => {
      try {
        f();
      } catch (e) {
        return e instanceof IsthmusError ? e.code : e;
      }
      return 'nothing thrown';
    };
    const small = gradient(40, 30);
    expect(code(() => preprocessImage(small, { ...IMAGENET, resize: { short: 200 } }))).toBe(
      'MANIFEST_INVALID',
    );
    expect(
      code(() => preprocessImage(small, { ...IMAGENET, resize: { short: 9999 }, crop: [9999, 9999] })),
    ).toBe('MANIFEST_INVALID');
    expect(code(() => preprocessImage({ ...small, width: 0 }, IMAGENET))).toBe('IMAGE_INVALID');
    expect(code(() => preprocessImage({ ...small, width: 41 }, IMAGENET))).toBe('IMAGE_INVALID');
    const strip = { width: 1, height: 2_000_000, data: new Uint8Array(8_000_000) };
    expect(code(() => preprocessImage(strip, { ...IMAGENET, resize: { exact: [224, 224] } }))).toBe(
      'IMAGE_TOO_LARGE',
    );
    const exact = { ...IMAGENET, resize: { exact: [224, 224] } };
    expect(code(() => cropPlan(60_000_000, 1, exact))).toBe('IMAGE_TOO_LARGE');
    expect(code(() => cropPlan(65_535, 1000, exact))).toBe('nothing thrown'); // as wide as a JPEG can be
    expect(code(() => normaliseOnly(small, IMAGENET))).toBe('IMAGE_INVALID');
  });

  test('a 12-megapixel photo takes well under 300 ms', () => {
    const photo = { width: 4000, height: 3000, data: new Uint8Array(4000 * 3000 * 4).fill(200) };
    preprocessImage(gradient(600, 600), IMAGENET);
    const began = performance.now();
    preprocessImage(photo, IMAGENET);
    const ms = performance.now() - began;
    console.info(`preprocessImage 4000×3000 → 224×224: ${ms.toFixed(0)} ms`);
    expect(ms).toBeLessThan(1500); // generous: test machines are shared
  });
});
