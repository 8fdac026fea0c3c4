// Real features for the codec benchmark: a picture of this repository through the embedded model, at each of its cuts.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { decodeImage } from '../src/head/node/nodeImage.ts';
import { preprocessImage } from '../src/image/preprocess.ts';
import { concreteShape, parseManifest } from '../src/model/manifest.ts';
import type { Feature } from './codecCpu.ts';
import { packageRoot } from './datasets.ts';
import { readProfiles } from './rdProfiles.ts';

const MODEL = join(packageRoot, 'models', 'neck10');
const PICTURE = join(packageRoot, 'public', 'samples', 'garbage-truck.jpg');

/** The features at neck10's cuts, with the profiles it was published with. */
export async function realFeatures(): Promise<Feature[]> {
  const manifest = await parseManifest(JSON.parse(await readFile(join(MODEL, 'manifest.json'), 'utf8')));
  const profiles = await readProfiles(MODEL);
  const pixels = await decodeImage(await readFile(PICTURE));
  const input = preprocessImage(pixels, manifest.preprocess!);
  let value: ort.Tensor = new ort.Tensor('float32', input.data as Float32Array, [...input.shape]);
  const features: Feature[] = [];
  for (const [k, cut] of manifest.cuts.entries()) {
    const session = await ort.InferenceSession.create(join(MODEL, manifest.segments[k]!.file), {
      logSeverityLevel: 3,
    });
    value = (await session.run({ [session.inputNames[0]!]: value }))[session.outputNames[0]!]!;
    await session.release();
    const found = profiles.get(cut.name);
    features.push({
      name: `neck10 ${cut.name}`,
      shape: concreteShape(cut.tensors[0]!),
      data: Float32Array.from(value.data as Float32Array),
      ...(found && { profile: found.profile, profileFile: found.file }),
    });
  }
  return features;
}
