// The kinds of input that only a browser has, made by a real one.
import { expect, test } from 'vitest';
import { prepareInput } from './input.ts';
import type { Input } from './types.ts';

function drawn(): HTMLCanvasElement {
  const canvas = Object.assign(document.createElement('canvas'), { width: 6, height: 4 });
  const context = canvas.getContext('2d')!;
  context.fillStyle = 'rgb(200, 100, 50)';
  context.fillRect(0, 0, 6, 4);
  return canvas;
}

async function firstPixel(bitmap: ImageBitmap): Promise<number[]> {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  return [...context.getImageData(0, 0, 1, 1).data];
}

test('canvas, offscreen canvas, image element and video frame become bitmaps that are released', async () => {
  const canvas = drawn();
  const offscreen = new OffscreenCanvas(6, 4);
  offscreen.getContext('2d')!.drawImage(canvas, 0, 0);
  const image = new Image();
  image.src = canvas.toDataURL();
  await image.decode();
  const frame = new VideoFrame(canvas, { timestamp: 0 });
  for (const input of [canvas, offscreen, image, frame] satisfies Input[]) {
    const prepared = await prepareInput(input);
    if (prepared.input.kind !== 'bitmap') throw new Error(`a ${prepared.input.kind} came out`);
    const { bitmap } = prepared.input;
    expect([bitmap.width, bitmap.height]).toEqual([6, 4]);
    const [r, g, b, a] = await firstPixel(bitmap);
    expect(Math.max(Math.abs(r! - 200), Math.abs(g! - 100), Math.abs(b! - 50))).toBeLessThanOrEqual(2);
    expect(a).toBe(255);
    prepared.release();
    expect(bitmap.width).toBe(0); // closed: no GPU memory stays behind
  }
  frame.close();
});

test('a bitmap of the caller stays the caller’s', async () => {
  const bitmap = await createImageBitmap(drawn());
  const prepared = await prepareInput(bitmap);
  prepared.release();
  expect(bitmap.width).toBe(6);
});

test('ImageData becomes pixels', async () => {
  const data = drawn().getContext('2d')!.getImageData(0, 0, 6, 4);
  const { input } = await prepareInput(data);
  expect(input).toMatchObject({ kind: 'pixels', pixels: { width: 6, height: 4 } });
});

test('elements without pixels are refused with what to wait for', async () => {
  for (const input of [new Image(), document.createElement('video'), Object.assign(drawn(), { width: 0 })]) {
    await expect(prepareInput(input)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('no pixels yet'),
    });
  }
});
