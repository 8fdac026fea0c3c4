// What the exits learn from: the features of every photo at the cuts, and what the whole model answers to it, as float32 and float16
// files that train.py reads. Usage: node training/exits/features.ts DATA_FOLDER OUT_FOLDER [CUT...]
import { readdir, readFile } from 'node:fs/promises';
import { mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SplitModel } from '../../src/calibrate/splitModel.ts';
import { decodeImage } from '../../src/head/node/nodeImage.ts';
import { preprocessImage } from '../../src/image/preprocess.ts';
import { cutIndex } from '../../src/model/manifest.ts';

const [data, out, ...cutNames] = process.argv.slice(2);
if (!data || !out) throw new Error('Usage: features.ts DATA_FOLDER OUT_FOLDER [CUT...]');
const cuts = cutNames.length > 0 ? cutNames : ['neck0', 'neck1'];
const BATCH = 8;
/** As training/data.py: every tenth photo of a class, by name, is held out. */
const HOLD_OUT_EVERY = 10;

const model = await SplitModel.open(new URL('../../models/neck10', import.meta.url).pathname);
const { manifest } = model;
const { preprocess, inputs, outputs, segments } = manifest;
const at = cuts.map((cut) => cutIndex(manifest, cut));
const root = join(data, 'images/imagenette-train-160');
const photos: { path: string; label: number; heldOut: boolean }[] = [];
for (const [label, folder] of (await readdir(root)).sort().entries())
  for (const [i, file] of (await readdir(join(root, folder))).sort().entries())
    photos.push({ path: join(root, folder, file), label, heldOut: i % HOLD_OUT_EVERY === 0 });

/** The photo the other way round; the model has learnt both. */
function mirrored(picture: Float32Array, width: number): Float32Array {
  const result = picture.slice();
  for (let row = 0; row < picture.length; row += width) result.subarray(row, row + width).reverse();
  return result;
}

const write = (file: number, values: Float32Array) =>
  void writeSync(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));

mkdirSync(out, { recursive: true });
// Held-out photos go to files of their own, as they are; the others twice, the second time mirrored.
for (const heldOut of [true, false]) {
  const side = heldOut ? 'held' : 'train';
  const chosen = photos.filter((photo) => photo.heldOut === heldOut);
  const files = cuts.map((cut) => openSync(join(out, `${side}-${cut}.f16`), 'w'));
  const logits = openSync(join(out, `${side}-logits.f32`), 'w');
  for (let first = 0; first < chosen.length; first += BATCH) {
    const pictures: Float32Array[] = [];
    for (const { path } of chosen.slice(first, first + BATCH)) {
      const { data } = preprocessImage(await decodeImage(await readFile(path)), preprocess!);
      pictures.push(data as Float32Array);
      if (!heldOut) pictures.push(mirrored(data as Float32Array, preprocess!.crop[0]!));
    }
    const joined = new Float32Array(pictures.length * pictures[0]!.length);
    pictures.forEach((picture, i) => joined.set(picture, i * picture.length));
    let values: ReadonlyMap<string, Float32Array> = new Map([[inputs[0]!.name, joined]]);
    for (let k = 0; k < segments.length; k++) {
      values = await model.run(values, pictures.length, k, k);
      const c = at.indexOf(k);
      if (c >= 0) {
        const halves = new Float16Array(values.get(manifest.cuts[k]!.tensors[0]!.name)!);
        writeSync(files[c]!, new Uint8Array(halves.buffer));
      }
    }
    write(logits, values.get(outputs[0]!.name)!);
    if (first % 800 === 0) console.log(`${side} ${first} of ${chosen.length}`);
  }
  const labels = chosen.flatMap(({ label }) => (heldOut ? [label] : [label, label]));
  writeFileSync(join(out, `${side}-labels.u8`), Uint8Array.from(labels));
}
await model.close();
