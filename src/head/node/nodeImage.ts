// Pictures in Node: sharp decodes and encodes them. Resampling is not sharp's: that has one definition for every
// platform (src/image). Used by the Node engine only.
import { IsthmusError } from '../../errors.ts';
import { MAX_PICTURE_PIXELS } from '../../image/limits.ts';
import type { Pixels } from '../runtime.ts';

/** sharp is optional: a package that only ever sees tensors need not install it. */
async function loadSharp(): Promise<typeof import('sharp')['default']> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new IsthmusError(
      'OPTION_INVALID',
      'Pictures in Node need the package sharp: `npm install sharp`, or pass decoded pixels or tensors.',
      { cause },
    );
  }
}

/** Loading sharp takes 0.3 s; begun early, the first picture need not wait for it. A failure shows with that picture. */
export function warmUpImages(): void {
  loadSharp().catch(() => undefined);
}

/**
 * Decodes a picture upright (EXIF), in sRGB, as RGBA; of an animation the first frame.
 * @throws IMAGE_INVALID, IMAGE_TOO_LARGE above 64 Mpixel
 */
export async function decodeImage(bytes: Uint8Array): Promise<Pixels> {
  const sharp = await loadSharp();
  try {
    const { data, info } = await sharp(bytes, { limitInputPixels: MAX_PICTURE_PIXELS, failOn: 'error' })
      .rotate()
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data };
  } catch (thrown) {
    if (thrown instanceof Error && thrown.message.includes('pixel limit')) {
      throw new IsthmusError(
        'IMAGE_TOO_LARGE',
        'The picture has more than 64 megapixels. Scale it down first.',
        { cause: thrown },
      );
    }
    throw IsthmusError.from(
      thrown,
      'IMAGE_INVALID',
      'The picture cannot be decoded; give a whole JPEG, PNG, WebP, AVIF, GIF or TIFF file.',
    );
  }
}

/** What this sharp writes: WebP belongs to its own libvips, but a system's may come without. */
export async function writableFormats(): Promise<readonly ('jpeg' | 'webp')[]> {
  const { format } = await loadSharp();
  return (['jpeg', 'webp'] as const).filter((one) => format[one]?.output.buffer);
}

/** Opaque RGBA pixels as a JPEG or WebP file; `quality` is 0…1, as for a canvas. */
export async function encodeImage(
  { width, height, data }: Pixels,
  format: 'jpeg' | 'webp',
  quality: number,
): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const percent = Math.round(Math.min(1, Math.max(0.01, quality)) * 100);
  return sharp(data, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .toFormat(format, { quality: percent })
    .toBuffer();
}
