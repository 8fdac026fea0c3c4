// Picture: what the worker makes of an image input before preprocessing. Decodes files with the browser's own decoders,
// inside limits that are checked before decoding, and reads pixels back for the CPU path. It resizes nothing.
import { IsthmusError } from '../errors.ts';
import { MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS } from '../image/limits.ts';
import { sniffImageSize } from './imageHeader.ts';
import type { Pixels, RuntimeInput } from './runtime.ts';

export type Picture =
  | { kind: 'bitmap'; bitmap: ImageBitmap; width: number; height: number }
  | { kind: 'pixels'; pixels: Pixels; width: number; height: number };

/**
 * @returns the picture, and `release` for what was made here; a caller's bitmap stays the caller's
 * @throws IsthmusError IMAGE_TOO_LARGE above 40 MiB or 64 megapixels, IMAGE_INVALID when no decoder takes the file
 */
export async function openPicture(
  input: Exclude<RuntimeInput, { kind: 'tensors' }>,
): Promise<{ picture: Picture; release(): void }> {
  if (input.kind === 'pixels') {
    const { width, height } = input.pixels;
    checkSize({ width, height });
    return { picture: { kind: 'pixels', pixels: input.pixels, width, height }, release() {} };
  }
  const bitmap = input.kind === 'bitmap' ? input.bitmap : await decode(input.bytes);
  const release = () => {
    if (input.kind === 'file') bitmap.close();
  };
  const { width, height } = bitmap;
  if (width === 0) {
    throw new IsthmusError('IMAGE_INVALID', 'The bitmap was closed or transferred away. Make a new one.');
  }
  try {
    checkSize({ width, height });
  } catch (thrown) {
    release();
    throw thrown;
  }
  return { picture: { kind: 'bitmap', bitmap, width, height }, release };
}

async function decode(bytes: Uint8Array): Promise<ImageBitmap> {
  if (bytes.byteLength > MAX_PICTURE_BYTES) {
    throw new IsthmusError(
      'IMAGE_TOO_LARGE',
      `The picture has ${(bytes.byteLength / 2 ** 20).toFixed(1)} MiB; the limit is 40 MiB. Save it smaller.`,
    );
  }
  const size = sniffImageSize(bytes);
  if (size) checkSize(size);
  try {
    // Not premultiplied, so that transparent pixels keep their colour until they meet the white paper.
    return await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>]), {
      imageOrientation: 'from-image',
      premultiplyAlpha: 'none',
    });
  } catch (thrown) {
    throw IsthmusError.from(
      thrown,
      'IMAGE_INVALID',
      'This file is no picture that the browser can read, or it is damaged. Use a JPEG, PNG or WebP.',
    );
  }
}

function checkSize({ width, height }: { width: number; height: number }): void {
  if (width * height > MAX_PICTURE_PIXELS) {
    throw new IsthmusError(
      'IMAGE_TOO_LARGE',
      `The picture has ${width}×${height} pixels; the limit is 64 megapixels. Scale it down.`,
    );
  }
}

/** RGBA bytes of a picture. A bitmap is drawn onto white: a canvas could not give back transparent pixels exactly. */
export function readPixels(picture: Picture): Pixels {
  if (picture.kind === 'pixels') return picture.pixels;
  const { width, height, bitmap } = picture;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw tooLargeForCanvas(width, height);
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  let data: Uint8ClampedArray;
  try {
    data = context.getImageData(0, 0, width, height).data;
  } catch (thrown) {
    throw IsthmusError.from(thrown, 'IMAGE_TOO_LARGE', tooLargeForCanvas(width, height).message);
  }
  // A canvas above the browser's limits does not throw: it draws nothing, not even the white, and reads as transparent.
  if (data[3] !== 255) throw tooLargeForCanvas(width, height);
  return { width, height, data };
}

function tooLargeForCanvas(width: number, height: number): IsthmusError {
  return new IsthmusError(
    'IMAGE_TOO_LARGE',
    `The browser cannot hold a picture of ${width}×${height} pixels. Scale it down.`,
  );
}
