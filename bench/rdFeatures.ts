// What the settings of one model are measured on, computed once and kept in a scratch folder: the features of every
// test picture at every cut, the uncompressed model's logits, and the crops that the rivals compress.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { decodeImage } from '../src/head/node/nodeImage.ts';
import { preprocessImage, resizeToCrop } from '../src/image/preprocess.ts';
import type { Partition } from '../src/model/index.ts';
import { concreteShape, type Manifest } from '../src/model/manifest.ts';
import type { Labelled } from './datasets.ts';

/** Goes up when what the scratch folder holds changes its meaning. */
const SCRATCH_VERSION = 1;
export const SESSION: ort.InferenceSession.SessionOptions = { intraOpNumThreads: 1, logSeverityLevel: 3 };

export interface RdSubject {
  manifest: Manifest;
  files: Partition['files'];
  pictures: readonly Labelled[];
  /** Folder of this subject alone: another model, cut list or picture list has another one. */
  scratch: string;
  /** pictures × classes */
  logits: Float32Array;
  classes: number;
}

/** Runs the whole chain on every picture, or finds that an earlier run did. */
export async function prepareSubject(
  { manifest, files }: Partition,
  pictures: readonly Labelled[],
): Promise<RdSubject> {
  const identity = JSON.stringify([SCRATCH_VERSION, manifest.id, manifest.preprocess, pictures]);
  const key = createHash('sha256').update(identity).digest('hex').slice(0, 12);
  const scratch = join(tmpdir(), 'isthmus-rd', `${manifest.name}-${key}`);
  await mkdir(scratch, { recursive: true });
  if (!existsSync(join(scratch, 'logits.f32'))) await runChain(manifest, files, pictures, scratch);
  const bytes = await readFile(join(scratch, 'logits.f32'));
  const logits = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return { manifest, files, pictures, scratch, logits, classes: logits.length / pictures.length };
}

async function runChain(
  manifest: Manifest,
  files: Partition['files'],
  pictures: readonly Labelled[],
  scratch: string,
): Promise<void> {
  const sessions = await Promise.all(
    [...files.values()].map((segment) => ort.InferenceSession.create(segment, SESSION)),
  );
  // Under another name until it is complete, so that a run that was cut short starts anew.
  const names = [...manifest.cuts.map((_, k) => `cut${k}.f32`), 'logits.f32'];
  const outputs = await Promise.all(names.map((name) => open(join(scratch, `${name}.part`), 'w')));
  const crops = await open(join(scratch, 'crops.rgba'), 'w');
  try {
    for (const [i, { path }] of pictures.entries()) {
      const pixels = await decodeImage(await readFile(path));
      await crops.write(resizeToCrop(pixels, manifest.preprocess!).data);
      const input = preprocessImage(pixels, manifest.preprocess!);
      let value: ort.Tensor = new ort.Tensor('float32', input.data as Float32Array, [...input.shape]);
      for (const [k, session] of sessions.entries()) {
        value = await runOnce(session, value);
        const { buffer, byteOffset, byteLength } = value.data as Float32Array;
        await outputs[k]!.write(new Uint8Array(buffer, byteOffset, byteLength));
      }
      if ((i + 1) % 50 === 0) console.log(`  ${i + 1} of ${pictures.length} pictures through the chain`);
    }
  } finally {
    await Promise.all([crops, ...outputs].map((file) => file.close()));
    await Promise.all(sessions.map((session) => session.release()));
  }
  await writeFile(join(scratch, 'pictures.json'), JSON.stringify(pictures));
  for (const name of names) await rename(join(scratch, `${name}.part`), join(scratch, name));
}

/** One input, one output. */
export async function runOnce(session: ort.InferenceSession, value: ort.Tensor): Promise<ort.Tensor> {
  const outputs = await session.run({ [session.inputNames[0]!]: value });
  return outputs[session.outputNames[0]!]!;
}

/** The feature's shape at a cut, for one picture. */
export const cutShape = ({ manifest }: RdSubject, cut: number) =>
  concreteShape(manifest.cuts[cut]!.tensors[0]!);

/** Features of one cut, one picture at a time; a large cut's would not fit into memory together. */
export async function* features(subject: RdSubject, cut: number): AsyncGenerator<Float32Array> {
  const bytes = 4 * cutShape(subject, cut).reduce((a, b) => a * b, 1);
  for await (const part of slices(join(subject.scratch, `cut${cut}.f32`), bytes, subject.pictures.length))
    yield new Float32Array(part.buffer);
}

/** The crops as the rivals take them, RGBA. */
export function crops(subject: RdSubject): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const [width, height] = subject.manifest.preprocess!.crop as [number, number];
  return slices(join(subject.scratch, 'crops.rgba'), 4 * width * height, subject.pictures.length);
}

async function* slices(path: string, bytes: number, count: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const file = await open(path);
  try {
    for (let i = 0; i < count; i++) {
      const part = new Uint8Array(bytes);
      await file.read(part, 0, bytes, i * bytes);
      yield part;
    }
  } finally {
    await file.close();
  }
}
