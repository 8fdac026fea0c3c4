// What presets cost and lose at the cuts of a model, on labelled pictures that no profile was made from. Pictures in the
// outer loop: each is decoded and run through the heads once.
import { type CodecParams, type PresetName, resolveCodec } from '../codec/params.ts';
import type { CodecProfile } from '../codec/profile.ts';
import { type AnswerKind, distribution } from './answers.ts';
import { frameBytes, roundTrip } from './codedSize.ts';
import type { LabelledPicture } from './pictures.ts';
import { BATCH, joined, readInput, rowsOf } from './samples.ts';
import type { Batch, SplitModel } from './splitModel.ts';
import { type Measured, Tally } from './tally.ts';

/** The whole model, in each cut's list beside the presets: what they are measured against. */
const WHOLE = 'local';

/**
 * @param cuts what to measure: index of the cut and its profile, if it has one
 * @param onPicture called with the number of pictures done
 * @returns per cut, in the order of `cuts`, the figures of each preset
 */
export async function measureCuts(
  model: SplitModel,
  cuts: readonly { cut: number; profile: CodecProfile | undefined }[],
  presets: readonly PresetName[],
  pictures: readonly LabelledPicture[],
  kind: AnswerKind,
  onPicture: (done: number) => void,
): Promise<Record<string, Measured>[]> {
  const names = [WHOLE, ...presets];
  const tallies = cuts.map(() => names.map(() => new Tally(kind)));
  for (let first = 0; first < pictures.length; first += BATCH) {
    const part = pictures.slice(first, first + BATCH);
    const inputs: Float32Array[] = [];
    for (const picture of part) inputs.push(await readInput(picture, model.manifest));
    const { features, whole } = await runHeads(model, cuts, inputs, kind);
    for (const [c, { cut, profile }] of cuts.entries()) {
      for (const [n, preset] of names.entries()) {
        const exact = preset === WHOLE || preset === 'raw';
        const coded = codeBatch(model, cut, features[c]!, part.length, paramsOf(preset, profile), profile);
        const answers = exact ? whole : await answersOf(model, cut, coded.decoded, part.length, kind);
        answers.forEach((answer, i) => {
          const bytes = preset === WHOLE ? 0 : coded.bytes[i]!;
          tallies[c]![n]!.add(bytes, part[i]!.label, answer, whole[i]!);
        });
      }
    }
    onPicture(first + part.length);
  }
  return tallies.map((list) => Object.fromEntries(list.map((tally, n) => [names[n]!, tally.figures()])));
}

/** `isthmus` presets use the profile of the cut where there is one. */
function paramsOf(preset: string, profile: CodecProfile | undefined): CodecParams {
  if (preset === WHOLE) return { family: 'raw' };
  const params = resolveCodec(preset as PresetName);
  return params.family === 'isthmus' && profile ? { ...params, profile } : params;
}

async function runHeads(
  model: SplitModel,
  cuts: readonly { cut: number }[],
  inputs: readonly Float32Array[],
  kind: AnswerKind,
) {
  const { manifest } = model;
  let values: Batch = new Map([[manifest.inputs[0]!.name, joined(inputs)]]);
  const features = new Map<number, Batch>();
  for (let segment = 0; segment < manifest.segments.length; segment++) {
    values = await model.run(values, inputs.length, segment, segment);
    if (cuts.some(({ cut }) => cut === segment)) features.set(segment, values);
  }
  const whole = rowsOf(values.get(kind.output)!, inputs.length).map((row) => distribution(row, kind));
  return { features: cuts.map(({ cut }) => features.get(cut)!), whole };
}

function codeBatch(
  model: SplitModel,
  cut: number,
  features: Batch,
  count: number,
  params: CodecParams,
  profile: CodecProfile | undefined,
): { bytes: number[]; decoded: Map<string, Float32Array> } {
  const { tensors } = model.manifest.cuts[cut]!;
  const coded = tensors.map(({ name }) =>
    rowsOf(features.get(name)!, count).map((row) => roundTrip(row, model.shapeOf(name), params, profile)),
  );
  const bytes = Array.from({ length: count }, (_, i) => frameBytes(coded.map((list) => list[i]!.encoded)));
  const decoded = tensors.map(({ name }, t) => [name, joined(coded[t]!.map((one) => one.decoded))] as const);
  return { bytes, decoded: new Map(decoded) };
}

async function answersOf(
  model: SplitModel,
  cut: number,
  features: Batch,
  count: number,
  kind: AnswerKind,
): Promise<Float64Array[]> {
  const outputs = await model.run(features, count, cut + 1, model.manifest.segments.length - 1);
  return rowsOf(outputs.get(kind.output)!, count).map((row) => distribution(row, kind));
}
