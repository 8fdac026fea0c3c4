// GPU preprocessing against the CPU's definition (src/image/preprocess.ts): at most one step of 1/255 apart before
// normalisation, over aspect ratios, scales, transparency, layouts and channel orders.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { preprocessImage } from '../image/preprocess.ts';
import type { Preprocess } from '../model/manifest.ts';
import { type GpuHandle, requestGpu } from './device.ts';
import { type Picture, readPixels } from './picture.ts';
import { GpuPreprocessor } from './preprocessGpu.ts';
import type { Pixels } from './runtime.ts';
import { TINY_PREPROCESS } from './tinyModel.fixture.ts';

let gpu: GpuHandle;
beforeAll(async () => {
  gpu = await requestGpu();
});
afterAll(() => gpu.device.destroy());

/** Hard edges, smooth ramps and noise: each kind of error shows in one of them. */
function photo(width: number, height: number, transparent = false): Pixels {
  const data = new Uint8ClampedArray(width * height * 4);
  let state = width * 31 + height;
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p += 4) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      data[p] = (255 * x) / width;
      data[p + 1] = ((x >> 3) + (y >> 3)) & 1 ? 255 : 0;
      data[p + 2] = state >>> 24;
      data[p + 3] = transparent ? (255 * y) / height : 255;
    }
  }
  return { width, height, data };
}

async function onGpu(picture: Picture, spec: Preprocess, before: Picture[] = []): Promise<Float32Array> {
  const { device } = gpu;
  const preprocessor = await GpuPreprocessor.create(device, spec);
  for (const earlier of before) preprocessor.run(earlier);
  preprocessor.run(picture);
  const size = preprocessor.shape.reduce((a, b) => a * b, 4);
  const readback = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const commands = device.createCommandEncoder();
  commands.copyBufferToBuffer(preprocessor.buffer, 0, readback, 0, size);
  device.queue.submit([commands.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(readback.getMappedRange().slice(0));
  readback.destroy();
  preprocessor.destroy();
  return values;
}

/** Largest distance in steps of 1/255, normalisation undone. */
function steps(actual: Float32Array, expected: Float32Array, spec: Preprocess): number {
  expect(actual.length).toBe(expected.length);
  const area = expected.length / 3;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const channel = spec.layout === 'NCHW' ? Math.floor(i / area) : i % 3;
    worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!) * spec.std[channel]! * 255);
  }
  return worst;
}

const asPixels = (pixels: Pixels): Picture => ({
  kind: 'pixels',
  pixels,
  width: pixels.width,
  height: pixels.height,
});
async function asBitmap({ width, height, data }: Pixels): Promise<Picture> {
  const image = new ImageData(data as Uint8ClampedArray<ArrayBuffer>, width, height);
  const bitmap = await createImageBitmap(image, { premultiplyAlpha: 'none' });
  return { kind: 'bitmap', bitmap, width, height };
}

const SIZES = [
  [640, 480],
  [375, 500],
  [32, 32],
  [33, 900],
  [1200, 36],
  [10, 14],
  [1, 1],
] as const;

test.each(SIZES)('%i×%i, opaque and transparent, from pixels and from a bitmap', async (width, height) => {
  for (const transparent of [false, true]) {
    const pixels = photo(width, height, transparent);
    const expected = preprocessImage(pixels, TINY_PREPROCESS).data as Float32Array;
    const fromPixels = await onGpu(asPixels(pixels), TINY_PREPROCESS);
    expect(steps(fromPixels, expected, TINY_PREPROCESS)).toBeLessThan(0.01);
    const fromBitmap = await onGpu(await asBitmap(pixels), TINY_PREPROCESS);
    expect(steps(fromBitmap, expected, TINY_PREPROCESS)).toBeLessThanOrEqual(1);
  }
});

test('NHWC, BGR and an exact size that ignores the aspect', async () => {
  const spec: Preprocess = {
    ...TINY_PREPROCESS,
    resize: { exact: [48, 24] },
    crop: [48, 24],
    layout: 'NHWC',
    channels: 'BGR',
    mean: [0.1, 0.2, 0.3],
    std: [1, 0.5, 0.25],
  };
  const pixels = photo(123, 77);
  const actual = await onGpu(asPixels(pixels), spec);
  expect(steps(actual, preprocessImage(pixels, spec).data as Float32Array, spec)).toBeLessThan(0.01);
});

test('a picture larger than a texture may be takes the way over the CPU', async () => {
  const pixels = photo(gpu.device.limits.maxTextureDimension2D + 8, 40);
  const actual = await onGpu(await asBitmap(pixels), TINY_PREPROCESS);
  const expected = preprocessImage(pixels, TINY_PREPROCESS).data as Float32Array;
  expect(steps(actual, expected, TINY_PREPROCESS)).toBeLessThanOrEqual(1);
});

test('pixels read back for the CPU path are within one step as well', async () => {
  const pixels = photo(200, 150, true);
  const expected = preprocessImage(pixels, TINY_PREPROCESS).data as Float32Array;
  const actual = preprocessImage(readPixels(await asBitmap(pixels)), TINY_PREPROCESS).data as Float32Array;
  expect(steps(actual, expected, TINY_PREPROCESS)).toBeLessThanOrEqual(1);
});

test('a picture that no canvas holds is refused, never read as blank', async () => {
  const picture = await asBitmap(photo(70_000, 20));
  expect(() => readPixels(picture)).toThrow(
    expect.objectContaining({ code: 'IMAGE_TOO_LARGE', message: expect.stringContaining('70000×20') }),
  );
});

test('textures of large pictures are not hoarded', async () => {
  const { device } = gpu;
  const createTexture = device.createTexture;
  let alive = 0;
  device.createTexture = (descriptor) => {
    const texture = createTexture.call(device, descriptor);
    const destroy = texture.destroy.bind(texture);
    const bytes = 4 * texture.width * texture.height;
    alive += bytes;
    texture.destroy = () => {
      alive -= bytes;
      return destroy();
    };
    return texture;
  };
  const preprocessor = await GpuPreprocessor.create(device, TINY_PREPROCESS);
  for (const height of [2900, 3000, 3100, 3200]) {
    preprocessor.run(asPixels({ width: 3000, height, data: new Uint8Array(3000 * height * 4) }));
    expect(alive).toBeLessThanOrEqual(64 * 2 ** 20);
    expect(alive).toBeGreaterThanOrEqual(4 * 3000 * height);
  }
  preprocessor.destroy();
  expect(alive).toBe(0);
  device.createTexture = createTexture;
});

test('other sizes in between do not disturb a picture', async () => {
  const before = [64, 80, 64, 90, 100, 110].map((size) => asPixels(photo(size, size)));
  const pixels = photo(64, 64, true);
  const expected = preprocessImage(pixels, TINY_PREPROCESS).data as Float32Array;
  const actual = await onGpu(asPixels(pixels), TINY_PREPROCESS, before);
  expect(steps(actual, expected, TINY_PREPROCESS)).toBeLessThan(0.01);
});
