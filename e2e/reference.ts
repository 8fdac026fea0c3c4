// The truth that the page's answers are held against: onnxruntime-node on the whole, uncut ONNX file.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { planIsthmus } from '../src/codec/isthmusPlan.ts';
import { type EncodedTensor, PRESETS, planRans, planSlicer } from '../src/codec/params.ts';
import type { CodecProfile } from '../src/codec/profile.ts';
import { encodeIsthmus } from '../src/codec/reference/encodeIsthmus.ts';
import { encodeRans } from '../src/codec/reference/encodeRans.ts';
import { encodeSlicer } from '../src/codec/reference/encodeSlicer.ts';
import { partition } from '../src/model/index.ts';
import type { Tensor } from '../src/tensor.ts';
import { data, root } from './fixtures.ts';

const options: ort.InferenceSession.SessionOptions = { intraOpNumThreads: 1 };

/** The uncut file of a served model. */
function wholeFile(model: string): string {
  return model === 'neck10'
    ? join(root, 'training/neck10.onnx')
    : join(data!, 'models', model === 'mobilenetv2' ? 'mobilenetv2-1.0-224.onnx' : `${model}.onnx`);
}

const cache = new Map<string, Promise<ort.InferenceSession>>();

function session(key: string, bytes: () => Promise<Uint8Array>): Promise<ort.InferenceSession> {
  const known = cache.get(key) ?? bytes().then((b) => ort.InferenceSession.create(b, options));
  cache.set(key, known);
  return known;
}

async function logits(model: ort.InferenceSession, tensors: readonly Tensor[]): Promise<Float32Array> {
  const feeds = Object.fromEntries(
    model.inputNames.map((name, i) => [
      name,
      new ort.Tensor('float32', tensors[i]!.data as Float32Array, [...tensors[i]!.shape]),
    ]),
  );
  const outputs = await model.run(feeds);
  return outputs[model.outputNames[0]!]!.data as Float32Array;
}

/** The whole model on an input tensor. */
export async function runWhole(model: string, input: Tensor): Promise<Float32Array> {
  return logits(await session(model, () => readFile(wholeFile(model))), [input]);
}

/** What the whole model answers when the tensors at `cut` are replaced by these: cut freshly here, not by the server. */
export async function runFromCut(
  model: string,
  cut: string,
  tensors: readonly Tensor[],
): Promise<Float32Array> {
  const rest = await session(`${model} ${cut}`, async () => {
    const { files, manifest } = await partition(await readFile(wholeFile(model)), {
      name: model,
      cuts: [cut],
    });
    return files.get(manifest.segments[1]!.file)!;
  });
  return logits(rest, tensors);
}

/** A float32 feature as the slow reference encodes it. */
export function referenceTensor(
  { data, shape }: Tensor,
  preset: 'slicer' | 'rans' | 'isthmus',
  profile: CodecProfile | undefined,
): EncodedTensor {
  const floats = data as Float32Array;
  if (preset === 'slicer') return encodeSlicer(floats, shape, planSlicer(PRESETS.slicer));
  if (preset === 'rans') return encodeRans(floats, shape, planRans(PRESETS.rans));
  return encodeIsthmus(floats, shape, planIsthmus({ ...PRESETS.isthmus, ...(profile && { profile }) }));
}

/** max |a - b| / max |b|. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return a.length === b.length ? worst / largest : Number.POSITIVE_INFINITY;
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
