// The rival of every split: the picture, scaled and cropped to the model's input, travels as JPEG or WebP, and the server
// runs the whole model on it.
import sharp from 'sharp';
import { normaliseOnly } from '../src/image/preprocess.ts';
import type { Preprocess } from '../src/model/manifest.ts';
import type { Tensor } from '../src/tensor.ts';

export interface PictureSetting {
  format: 'jpeg' | 'webp';
  quality: number;
}

const QUALITIES = [5, 10, 20, 30, 40, 50, 70, 90, 97];

/** `quick` keeps every other quality. */
export function pictureSettings(quick: boolean): PictureSetting[] {
  const qualities = QUALITIES.filter((_, i) => !quick || i % 2 === 0);
  return (['jpeg', 'webp'] as const).flatMap((format) => qualities.map((quality) => ({ format, quality })));
}

/** Compresses a crop (RGBA) and reads it back as the model's input. Optimised Huffman tables: JPEG at its best. */
export async function encodeCrop(
  crop: Uint8Array,
  preprocess: Preprocess,
  { format, quality }: PictureSetting,
): Promise<{ bytes: number; input: Tensor }> {
  const [width, height] = preprocess.crop as [number, number];
  const picture = sharp(crop, { raw: { width, height, channels: 4 } }).removeAlpha();
  const file = await (format === 'jpeg'
    ? picture.jpeg({ quality, optimiseCoding: true })
    : picture.webp({ quality, effort: 4 })
  ).toBuffer();
  const data = await sharp(file).ensureAlpha().raw().toBuffer();
  return { bytes: file.length, input: normaliseOnly({ width, height, data }, preprocess) };
}
