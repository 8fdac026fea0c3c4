// Pictures as the model's input, decoded and preprocessed like those of every other end; and what the model makes of them.
import { readFile } from 'node:fs/promises';
import { IsthmusError } from '../errors.ts';
import { decodeImage } from '../head/node/nodeImage.ts';
import type { Pixels } from '../head/runtime.ts';
import { preprocessImage } from '../image/preprocess.ts';
import type { Manifest } from '../model/manifest.ts';
import { type AnswerKind, distribution } from './answers.ts';
import type { LabelledPicture } from './pictures.ts';
import type { SplitModel } from './splitModel.ts';

/** Pictures that go through the model together. */
export const BATCH = 8;

/** @throws IsthmusError OPTION_INVALID for a model that takes no pictures; as {@link readPicture} */
export async function readInput(picture: LabelledPicture, manifest: Manifest): Promise<Float32Array> {
  const spec = pictureSpec(manifest);
  return preprocessImage(await readPicture(picture), spec).data as Float32Array;
}

/** @throws IsthmusError IMAGE_INVALID with the file's name */
export async function readPicture({ path }: LabelledPicture): Promise<Pixels> {
  try {
    return await decodeImage(await readFile(path));
  } catch (thrown) {
    const { code, message } = IsthmusError.from(thrown, 'IMAGE_INVALID', 'it cannot be read');
    throw new IsthmusError(code, `${path}: ${message}`, { cause: thrown });
  }
}

/** @throws IsthmusError OPTION_INVALID */
export function pictureSpec({ name, preprocess, inputs }: Manifest): NonNullable<Manifest['preprocess']> {
  if (preprocess && inputs.length === 1) return preprocess;
  throw new IsthmusError(
    'OPTION_INVALID',
    `The model '${name}' takes no pictures: its manifest has no "preprocess" for its one input. Split it with --preprocess; other models are not calibrated yet.`,
  );
}

/** Rows of a batch as views. */
export function rowsOf(batch: Float32Array, count: number): Float32Array[] {
  const size = batch.length / count;
  return Array.from({ length: count }, (_, i) => batch.subarray(i * size, (i + 1) * size));
}

export function joined(rows: readonly Float32Array[]): Float32Array {
  const size = rows[0]!.length;
  const batch = new Float32Array(size * rows.length);
  rows.forEach((row, i) => {
    batch.set(row, i * size);
  });
  return batch;
}

/** What the segments behind a cut answer to features of its one tensor. */
export async function tailAnswers(
  model: SplitModel,
  cut: number,
  features: Float32Array,
  count: number,
  kind: AnswerKind,
): Promise<Float64Array[]> {
  const { cuts, segments } = model.manifest;
  const inputs = new Map([[cuts[cut]!.tensors[0]!.name, features]]);
  const outputs = await model.run(inputs, count, cut + 1, segments.length - 1);
  return rowsOf(outputs.get(kind.output)!, count).map((row) => distribution(row, kind));
}
