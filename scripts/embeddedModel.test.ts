// models/neck10 is made from training/neck10.onnx by `npm run model`; this holds the two together.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { partition } from '../src/model/index.ts';
import { parseManifest, sha256Hex } from '../src/model/manifest.ts';
import { root } from './run.ts';

const served = join(root, 'models/neck10');
const json = async (file: string) => JSON.parse(await readFile(file, 'utf8')) as unknown;

test('the served model is the trained model, split again', async () => {
  const manifest = await parseManifest(await json(join(served, 'manifest.json')));
  const { manifest: again } = await partition(await readFile(join(root, 'training/neck10.onnx')), {
    name: manifest.name,
    cuts: manifest.cuts.map((cut) => cut.tensors.map((tensor) => tensor.name)),
    preprocess: (await json(join(root, 'training/preprocess.json'))) as object,
    labels: (await json(join(root, 'training/labels.json'))) as string[],
  });
  expect(manifest).toEqual(again);
});

test('its files are what the manifest says, and small', async () => {
  const manifest = await parseManifest(await json(join(served, 'manifest.json')));
  let bytes = 0;
  for (const segment of manifest.segments) {
    const content = await readFile(join(served, segment.file));
    expect(await sha256Hex(content)).toBe(segment.sha256);
    bytes += content.length;
  }
  expect(bytes).toBeLessThan(4e6);
  expect((await stat(join(root, 'training/neck10.onnx'))).size).toBeLessThan(4e6);
});
