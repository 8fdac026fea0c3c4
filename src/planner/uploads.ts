// The `remote` candidates: the picture itself travels, in the formats that this device writes, at a quality that is calibrated
// where somebody measured it (`isthmus calibrate`), else as JPEG at the usual one with a guess of its bytes.
import type { Manifest } from '../model/manifest.ts';

type Format = 'jpeg' | 'webp';

export interface Upload {
  /** The only one, where it is named; else what is calibrated and can be written. */
  format?: Format | undefined;
  /** 0…1, as for a canvas; where it is left out, the calibration decides. */
  quality?: number | undefined;
  /** What this device can write, as far as that is known. Default: JPEG. */
  writable?: readonly Format[] | undefined;
}

/** A candidate `remote`. */
interface RemoteCandidate {
  id: string;
  plan: 'remote';
  preset: Format | 'raw';
  quality?: number;
  bytes: number;
  accuracy?: number;
}

/** A calibrated setting. */
interface Measured {
  format: Format;
  quality: number;
  bytes: number;
  accuracy: number;
}

/** What sessions take where nobody says or measured anything. */
const USUAL_QUALITY = 0.85;
/** Bits per pixel of a photograph of the model's input size at that quality. */
const BITS_PER_PIXEL = { jpeg: 2.2, webp: 1.5 } as const;

/**
 * One, or two where WebP is smaller than JPEG: WebP takes longer to write, so which of them is faster depends on the link, and
 * measurement tells. Never none.
 *
 * @param maxAccuracyLoss share of pictures that may be answered otherwise than by the whole model
 */
export function uploadsOf(
  manifest: Manifest,
  upload: Upload = {},
  maxAccuracyLoss: number,
): RemoteCandidate[] {
  const { format, quality, writable = ['jpeg'] } = upload;
  // Tensors travel as they are.
  if (!manifest.preprocess)
    return [{ id: 'remote', plan: 'remote', preset: 'raw', bytes: tensorBytes(manifest), accuracy: 1 }];
  const formats = format ? [format] : writable;
  const measured = measuredOf(manifest).filter((one) => formats.includes(one.format));
  const allowed = measured.filter(({ accuracy }) => 1 - accuracy <= maxAccuracyLoss);
  if (quality !== undefined) {
    const named = atQuality(manifest, measured, format ?? 'jpeg', quality);
    if (format) return [named];
    const webp = atQuality(manifest, allowed, 'webp', quality);
    const other = webp.accuracy === undefined ? [] : [{ ...webp, id: `remote/webp-${quality}` }];
    return [named, ...other.filter(({ bytes }) => bytes < named.bytes)];
  }
  if (measured.length === 0) return [guess(manifest, format ?? 'jpeg', USUAL_QUALITY)];
  const [jpeg, webp] = (['jpeg', 'webp'] as const).map((one) =>
    least(allowed.filter((setting) => setting.format === one)),
  );
  if (jpeg && webp)
    return webp.bytes < jpeg.bytes ? [calibrated(jpeg), calibrated(webp)] : [calibrated(jpeg)];
  // What nothing keeps is told, and left to the limits.
  return [calibrated(jpeg ?? webp ?? measured.reduce((a, b) => (b.accuracy > a.accuracy ? b : a)))];
}

/** Whether it matters what this device can write. */
export function formatIsOpen(manifest: Manifest, { format }: Upload): boolean {
  return format === undefined && measuredOf(manifest).some((one) => one.format === 'webp');
}

function measuredOf({ preprocess, uploads }: Manifest): Measured[] {
  if (!preprocess) return [];
  return (uploads?.settings ?? []).flatMap(({ format, quality, figures: { bytes = 0, agreement } }) =>
    agreement !== undefined && bytes > 0 ? [{ format, quality, bytes, accuracy: agreement }] : [],
  );
}

const least = (settings: readonly Measured[]) =>
  settings.reduce<Measured | undefined>((a, b) => (a && a.bytes <= b.bytes ? a : b), undefined);

const calibrated = ({ format, ...setting }: Measured): RemoteCandidate => ({
  ...{ id: `remote/${format}-${setting.quality}`, plan: 'remote', preset: format },
  ...setting,
});

function guess({ preprocess }: Manifest, format: Format, quality: number): RemoteCandidate {
  const bytes = pictureBytes(preprocess!.crop as [number, number], format, quality);
  return { id: 'remote', plan: 'remote', preset: format, quality, bytes };
}

/** A picture is worth no less than a coarser one. */
function atQuality(
  manifest: Manifest,
  measured: readonly Measured[],
  format: Format,
  quality: number,
): RemoteCandidate {
  const near = measured
    .filter((one) => one.format === format && one.quality <= quality + 1e-6)
    .reduce<Measured | undefined>((a, b) => (a && a.quality >= b.quality ? a : b), undefined);
  const exact = near && Math.abs(near.quality - quality) < 1e-6;
  return {
    ...guess(manifest, format, quality),
    ...(exact && { bytes: near.bytes }),
    ...(near && { accuracy: near.accuracy }),
  };
}

function pictureBytes([width, height]: [number, number], format: Format, quality: number): number {
  const bits = width * height * BITS_PER_PIXEL[format] * (0.3 + 0.7 * (quality / USUAL_QUALITY) ** 3);
  return Math.round(bits / 8) + 200;
}

function tensorBytes({ inputs }: Manifest): number {
  const elements = inputs.map(({ shape }) =>
    shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1),
  );
  return 4 * elements.reduce((a, b) => a + b, 0) + 200;
}
