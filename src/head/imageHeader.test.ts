// Sizes from real headers, written by sharp where it can, and what damaged headers do.
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { sniffImageSize } from './imageHeader.ts';

const picture = sharp({ create: { width: 321, height: 123, channels: 3, background: '#a37' } });

test.each([
  ['JPEG', () => picture.clone().jpeg()],
  [
    'progressive JPEG with EXIF',
    () =>
      picture
        .clone()
        .withExif({ IFD0: { Copyright: 'none' } })
        .jpeg({ progressive: true }),
  ],
  ['PNG', () => picture.clone().png()],
  ['WebP', () => picture.clone().webp()],
  ['lossless WebP', () => picture.clone().webp({ lossless: true })],
  ['WebP with alpha and metadata', () => picture.clone().ensureAlpha(0.5).withMetadata().webp()],
  ['GIF', () => picture.clone().gif()],
  ['AVIF', () => picture.clone().avif()],
] as const)('%s', async (_, encode) => {
  const file = new Uint8Array(await encode().toBuffer());
  expect(sniffImageSize(file)).toEqual({ width: 321, height: 123 });
  for (const end of [0, 1, 3, 7, 12, 20, 25]) {
    const size = sniffImageSize(file.subarray(0, end));
    if (size) expect(size).toEqual({ width: 321, height: 123 });
  }
});

test('BMP, bottom up and top down', () => {
  const header = new DataView(new ArrayBuffer(54));
  header.setUint16(0, 0x424d);
  header.setUint32(14, 40, true);
  header.setInt32(18, 321, true);
  for (const height of [123, -123]) {
    header.setInt32(22, height, true);
    expect(sniffImageSize(new Uint8Array(header.buffer))).toEqual({ width: 321, height: 123 });
  }
});

test('a PNG of a few bytes that claims four billion pixels tells so', () => {
  const bomb = new DataView(new ArrayBuffer(33));
  bomb.setUint32(0, 0x89504e47);
  bomb.setUint32(16, 65535);
  bomb.setUint32(20, 65535);
  expect(sniffImageSize(new Uint8Array(bomb.buffer))).toEqual({ width: 65535, height: 65535 });
});

test('text and zeros are unknown', () => {
  expect(
    sniffImageSize(new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"/>')),
  ).toBeUndefined();
  expect(sniffImageSize(new Uint8Array(4096))).toBeUndefined();
});

test('JPEG markers that lead nowhere end', () => {
  const loop = new Uint8Array(70_000).fill(0xff);
  loop[1] = 0xd8;
  expect(sniffImageSize(loop)).toBeUndefined();
});
