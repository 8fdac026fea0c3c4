// From a JPEG, PNG or WebP file of a stranger to the model's input tensor: sniffed, measured, decoded by sharp, turned
// upright, then preprocessed as everywhere else (src/image). Other formats never reach the decoder. Runs in a worker
// thread, which also bounds how many pictures are unpacked at once.
import type { Sharp } from 'sharp';
import { IsthmusError } from '../../errors.ts';
import type { Pixels } from '../../head/runtime.ts';
import { normaliseOnly, preprocessImage } from '../../image/preprocess.ts';
import type { Preprocess } from '../../model/manifest.ts';
import type { Tensor } from '../../tensor.ts';

/**
 * @param prepared - the picture has the size of the crop already (remote plan): normalise only
 * @returns float32 in the model's layout
 * @throws IsthmusError IMAGE_INVALID, IMAGE_TOO_LARGE; INFERENCE_FAILED without sharp
 */
export async function pictureToTensor(
  file: Uint8Array,
  spec: Preprocess,
  maxPixels: number,
  prepared = false,
): Promise<Tensor> {
  if (!looksLikePicture(file)) {
    throw new IsthmusError(
      'IMAGE_INVALID',
      'The picture is no JPEG, PNG or WebP file. Convert it to one of them.',
    );
  }
  const pixels = await decodePicture(file, maxPixels);
  return prepared ? normaliseOnly(pixels, spec) : preprocessImage(pixels, spec);
}

function looksLikePicture(b: Uint8Array): boolean {
  const starts = (at: number, ...bytes: number[]) => bytes.every((byte, i) => b[at + i] === byte);
  const jpeg = starts(0, 0xff, 0xd8, 0xff);
  const png = starts(0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const webp = starts(0, 0x52, 0x49, 0x46, 0x46) && starts(8, 0x57, 0x45, 0x42, 0x50);
  return jpeg || png || webp;
}

async function decodePicture(file: Uint8Array, maxPixels: number): Promise<Pixels> {
  const sharp = await loadSharp();
  const open = (): Sharp => sharp(file, { failOn: 'error', limitInputPixels: maxPixels });
  try {
    // The header first, so that "too large" is told apart from "broken" and nothing large is unpacked for it.
    const { width, height } = await sharp(file, { limitInputPixels: false }).metadata();
    if (width * height > maxPixels) {
      throw new IsthmusError(
        'IMAGE_TOO_LARGE',
        `The picture has ${width}×${height} pixels; this tail takes up to ${Math.floor(maxPixels / 2 ** 20)} megapixels. Scale it down first.`,
      );
    }
    const { data, info } = await open()
      .autoOrient()
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 4) throw new Error(`${info.channels} channels`);
    return { width: info.width, height: info.height, data };
  } catch (thrown) {
    throw IsthmusError.from(
      thrown,
      'IMAGE_INVALID',
      'The picture cannot be decoded; it is damaged or cut short. Choose another one.',
    );
  }
}

async function loadSharp(): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new IsthmusError(
      'INFERENCE_FAILED',
      'This tail cannot decode pictures because sharp is not installed; its operator runs `npm install sharp`.',
      { cause },
    );
  }
}
