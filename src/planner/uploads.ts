// The `remote` candidate: the picture itself travels, at a quality that is calibrated where somebody measured it
// (`isthmus calibrate`), else at the usual one with a guess of its bytes.
import type { Manifest } from '../model/manifest.ts';

export interface Upload {
  format: 'jpeg' | 'webp';
  /** 0…1, as for a canvas; where it is left out, the calibration decides. */
  quality?: number | undefined;
}

/** The candidate `remote`. */
interface RemoteCandidate {
  id: string;
  plan: 'remote';
  preset: 'jpeg' | 'webp' | 'raw';
  quality?: number;
  bytes: number;
  accuracy?: number;
}

/** What sessions take where nobody says or measured anything. */
const USUAL_QUALITY = 0.85;
/** Bits per pixel of a photograph of the model's input size at that quality. */
const BITS_PER_PIXEL = { jpeg: 2.2, webp: 1.5 } as const;

/** @param maxAccuracyLoss share of pictures that may be answered otherwise than by the whole model */
export function uploadOf(
  manifest: Manifest,
  { format, quality }: Upload = { format: 'jpeg' },
  maxAccuracyLoss: number,
): RemoteCandidate {
  const { preprocess, uploads } = manifest;
  const plan = 'remote';
  // Tensors travel as they are.
  if (!preprocess) return { id: 'remote', plan, preset: 'raw', bytes: tensorBytes(manifest), accuracy: 1 };
  const guess = (at: number): RemoteCandidate => ({
    ...{ id: 'remote', plan, preset: format, quality: at },
    bytes: pictureBytes(preprocess.crop as [number, number], format, at),
  });
  const measured = (uploads?.settings ?? [])
    .filter((one) => one.format === format && one.figures.agreement !== undefined)
    .map(({ quality, figures }) => ({ quality, bytes: figures.bytes ?? 0, accuracy: figures.agreement! }))
    .filter(({ bytes }) => bytes > 0);
  if (quality !== undefined) {
    // A picture is worth no less than a coarser one.
    const near = measured.filter((one) => one.quality <= quality + 1e-6);
    const { accuracy, ...at } = near.reduce((a, b) => (b.quality > a.quality ? b : a), near[0] ?? NONE);
    const exact = Math.abs(at.quality - quality) < 1e-6;
    return {
      ...guess(quality),
      ...(exact && { bytes: at.bytes }),
      ...(accuracy !== undefined && { accuracy }),
    };
  }
  if (measured.length === 0) return guess(USUAL_QUALITY);
  const allowed = measured.filter(({ accuracy }) => 1 - accuracy <= maxAccuracyLoss);
  const best =
    allowed.length > 0
      ? allowed.reduce((a, b) => (b.bytes < a.bytes ? b : a))
      : measured.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  return { id: `remote/${format}-${best.quality}`, plan, preset: format, ...best };
}

const NONE: { quality: number; bytes: number; accuracy?: number } = { quality: Number.NaN, bytes: 0 };

function pictureBytes([width, height]: [number, number], format: Upload['format'], quality: number): number {
  const bits = width * height * BITS_PER_PIXEL[format] * (0.3 + 0.7 * (quality / USUAL_QUALITY) ** 3);
  return Math.round(bits / 8) + 200;
}

function tensorBytes({ inputs }: Manifest): number {
  const elements = inputs.map(({ shape }) =>
    shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1),
  );
  return 4 * elements.reduce((a, b) => a + b, 0) + 200;
}
