// Thumbnails: what two frames have to share to be taken for one. Frames that only a browser can draw: streamSource.gpu.test.ts.
import { expect, test } from 'vitest';
import { similarity, thumbnailer } from './similarity.ts';
import type { Input } from './types.ts';

const thumb = thumbnailer();
const frame = (value: (at: number) => number, alpha = 255, width = 64, height = 48) =>
  thumb({
    ...{ width, height },
    data: new Uint8Array(4 * width * height).map((_, i) => (i % 4 === 3 ? alpha : value(i >> 2))),
  })!;
const grey = (value: number, ...rest: number[]) => frame(() => value, ...rest);

test('they tell brightness and place, not noise', () => {
  expect(similarity(grey(0), grey(255))).toBeCloseTo(0, 5);
  expect(similarity(grey(100), grey(100))).toBe(1);
  expect(similarity(grey(100), grey(110))).toBeCloseTo(1 - 10 / 255, 5);
  const left = frame((at) => (at % 64 < 32 ? 255 : 0));
  const right = frame((at) => (at % 64 < 32 ? 0 : 255));
  expect(similarity(left, right)).toBe(0);
});

test('transparent pixels lie on white, as the model sees them', () => {
  expect(similarity(grey(0, 0), grey(255))).toBe(1);
  expect(similarity(grey(0, 0), grey(0))).toBeCloseTo(0, 5);
  expect(similarity(grey(0, 51), grey(204))).toBeCloseTo(1, 5);
});

test('a frame of another size is another frame', () => {
  expect(similarity(grey(90, 255, 64, 48), grey(90, 255, 48, 64))).toBe(0);
  expect(similarity(grey(90, 255, 64, 48), grey(90, 255, 128, 96))).toBe(0);
});

test('what has no pixels at hand has no thumbnail', () => {
  expect(thumb(new Uint8Array(10))).toBeUndefined();
  expect(thumb({ x: { dtype: 'float32', shape: [1], data: new Float32Array(1) } })).toBeUndefined();
  expect(thumb({ width: 4, height: 4, data: new Uint8Array(63) })).toBeUndefined();
  for (const wrong of [null, undefined, 'a.png', 7]) expect(thumb(wrong as unknown as Input)).toBeUndefined();
});
