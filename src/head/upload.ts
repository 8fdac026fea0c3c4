// The `remote` plan for a picture: cropped and scaled to the model's input, then encoded by the browser. The model
// itself is not touched.
import type { EncodedTensor } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { resizeToCrop } from '../image/preprocess.ts';
import type { Preprocess } from '../model/manifest.ts';
import { type Picture, readPixels } from './picture.ts';
import type { Pixels } from './runtime.ts';

/** Codes of the `image` family's params (FORMAT.md). */
const ENCODINGS = { jpeg: 0, webp: 1 } as const;
const PREPARED = 1;

type Format = keyof typeof ENCODINGS;

let writable: Promise<readonly Format[]> | undefined;

/**
 * The formats that this browser's canvas writes, tried out once with one pixel. For a type that it cannot write it gives a PNG
 * (HTML standard, "serialising bitmaps to a file"), as Safari does for WebP.
 */
export function writableFormats(): Promise<readonly Format[]> {
  writable ??= canWrite('webp').then((webp) => (webp ? ['jpeg', 'webp'] : ['jpeg']));
  return writable;
}

async function canWrite(format: Format): Promise<boolean> {
  const type = `image/${format}`;
  try {
    const canvas = new OffscreenCanvas(1, 1);
    canvas.getContext('2d'); // without a context there is nothing to write
    return (await canvas.convertToBlob({ type })).type === type;
  } catch {
    return false;
  }
}

/** The model's crop, ready to encode. */
export function cropPicture(picture: Picture, preprocess: Preprocess): Pixels {
  return resizeToCrop(readPixels(picture), preprocess);
}

/**
 * @param quality 0…1, as for canvas
 * @throws IsthmusError OPTION_INVALID where the browser cannot write that format (Safari has no WebP)
 */
export async function encodePicture(
  { width, height, data }: Pixels,
  format: Format,
  quality: number,
): Promise<EncodedTensor> {
  const canvas = new OffscreenCanvas(width, height);
  const pixels = new ImageData(data as Uint8ClampedArray<ArrayBuffer>, width, height);
  canvas.getContext('2d')!.putImageData(pixels, 0, 0);
  const type = `image/${format}`;
  const blob = await canvas.convertToBlob({ type, quality });
  if (blob.type !== type) {
    throw new IsthmusError('OPTION_INVALID', `This browser cannot write ${type}. Use the format 'jpeg'.`);
  }
  return {
    family: 'image',
    dtype: 'uint8',
    shape: [height, width, 3],
    flags: 0,
    params: new Uint8Array([ENCODINGS[format], PREPARED, 0, 0]),
    payload: new Uint8Array(await blob.arrayBuffer()),
  };
}
