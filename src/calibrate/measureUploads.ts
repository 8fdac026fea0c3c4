// What the `remote` plan's uploads cost and lose: the model's crop as JPEG and WebP at several qualities, through the same
// encoder as in Node and the same decoder as the tail's. Browsers have encoders of their own, so the figures name theirs.
import sharp from 'sharp';
import { decodeImage, encodeImage } from '../head/node/nodeImage.ts';
import { normaliseOnly, resizeToCrop } from '../image/preprocess.ts';
import type { UploadCalibration } from '../model/manifest.ts';
import { type AnswerKind, distribution } from './answers.ts';
import { frameBytes } from './codedSize.ts';
import type { LabelledPicture } from './pictures.ts';
import { BATCH, joined, pictureSpec, readInput, readPicture, rowsOf } from './samples.ts';
import type { SplitModel } from './splitModel.ts';
import { Tally } from './tally.ts';

const FORMATS = ['jpeg', 'webp'] as const;
/** 0…1, as for a canvas; 0.85 is what sessions take by themselves. */
const QUALITIES = [0.3, 0.5, 0.7, 0.85, 0.95] as const;

/** @param onPicture called with the number of pictures done */
export async function measureUploads(
  model: SplitModel,
  pictures: readonly LabelledPicture[],
  kind: AnswerKind,
  onPicture: (done: number) => void,
): Promise<UploadCalibration> {
  const { manifest } = model;
  const spec = pictureSpec(manifest);
  const settings = FORMATS.flatMap((format) =>
    QUALITIES.map((quality) => ({ format, quality, tally: new Tally(kind) })),
  );
  const answers = async (inputs: readonly Float32Array[]) => {
    const feeds = new Map([[manifest.inputs[0]!.name, joined(inputs)]]);
    const outputs = await model.run(feeds, inputs.length, 0, manifest.segments.length - 1);
    return rowsOf(outputs.get(kind.output)!, inputs.length).map((row) => distribution(row, kind));
  };
  for (let first = 0; first < pictures.length; first += BATCH) {
    const part = pictures.slice(first, first + BATCH);
    const inputs: Float32Array[] = [];
    for (const picture of part) inputs.push(await readInput(picture, manifest));
    const whole = await answers(inputs);
    const crops = await Promise.all(part.map(async (p) => resizeToCrop(await readPicture(p), spec)));
    for (const { format, quality, tally } of settings) {
      const files = await Promise.all(crops.map((crop) => encodeImage(crop, format, quality)));
      const arrived = await Promise.all(
        files.map(async (file) => normaliseOnly(await decodeImage(file), spec).data as Float32Array),
      );
      (await answers(arrived)).forEach((answer, i) => {
        tally.add(bytesOf(files[i]!, crops[i]!), part[i]!.label, answer, whole[i]!);
      });
    }
    onPicture(first + part.length);
  }
  return {
    encoder: encoder(),
    settings: settings.map(({ format, quality, tally }) => ({ format, quality, figures: tally.figures() })),
  };
}

/** The whole frame, as for features. */
function bytesOf(payload: Uint8Array, { width, height }: { width: number; height: number }): number {
  const shape = [height, width, 3];
  return frameBytes([
    { family: 'image', dtype: 'uint8', shape, flags: 0, params: new Uint8Array(4), payload },
  ]);
}

function encoder(): string {
  const { sharp: version, vips, mozjpeg, jpeg, webp } = sharp.versions as Record<string, string | undefined>;
  const coders = [
    mozjpeg ? `mozjpeg ${mozjpeg}` : jpeg && `libjpeg ${jpeg}`,
    webp && `libwebp ${webp}`,
  ].filter(Boolean);
  return `sharp ${version ?? '?'} (libvips ${vips}${coders.map((one) => `, ${one}`).join('')})`;
}
