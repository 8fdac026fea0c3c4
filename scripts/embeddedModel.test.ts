// models/neck10 is made from training/neck10.onnx by `npm run model` and then calibrated; this holds the two together.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attachExit } from '../src/model/attachExit.ts';
import { partition } from '../src/model/index.ts';
import { parseManifest, sha256Hex } from '../src/model/manifest.ts';
import { readCutProfile, readManifest } from '../src/model/node/modelFolder.ts';
import { nodeShapeProbe } from '../src/model/probeNode.ts';
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
  const cuts = manifest.cuts.map(({ profile: _, calibration: __, ...cut }) => cut);
  const { exits: ___, uploads: ____, ...chain } = manifest;
  expect({ ...chain, cuts }).toEqual(again);
});

test('every cut has a profile that fits it, and figures of what it costs', async () => {
  const manifest = await readManifest(served);
  for (const cut of manifest.cuts) {
    const profile = await readCutProfile(served, cut);
    expect(profile?.channels).toBe(cut.tensors[0]!.shape[1]);
    expect(cut.calibration).toMatchObject({ local: { bytes: 0 }, isthmus: { images: 636 } });
  }
});

test('its uploads are measured on the same pictures, and a coarser one is smaller and agrees less', async () => {
  const { uploads } = await readManifest(served);
  expect(uploads!.encoder).toMatch(/^sharp /);
  for (const format of ['jpeg', 'webp']) {
    const figures = uploads!.settings.filter((one) => one.format === format).map((one) => one.figures);
    expect(figures.length).toBeGreaterThan(3);
    expect(figures.every(({ images }) => images === 636)).toBe(true);
    const of = (name: string) => figures.map((one) => one[name]!);
    expect(of('bytes')).toEqual(of('bytes').sort((a, b) => a - b));
    expect(of('agreement')[0]).toBeLessThan(of('agreement').at(-1)!);
    for (const one of figures) expect(one.agreementLow).toBeLessThan(one.agreement!);
  }
});

test('its early exit is the trained one, and agrees with the model where it may answer', async () => {
  const { exits, ...manifest } = await readManifest(served);
  const [exit] = exits!;
  const { cut, ...options } = { cut: exit!.cut, name: exit!.name, probe: nodeShapeProbe };
  const onnx = await readFile(join(root, `training/exits/${exit!.name}.onnx`));
  const { manifest: again } = await attachExit(manifest, { ...options, cut, onnx });
  const { threshold, calibration, ...attached } = exit!;
  expect([attached]).toEqual(again.exits);
  expect(threshold!.agreement).toBeGreaterThanOrEqual(0.98);
  expect(threshold!.coverage).toBeGreaterThan(0.5);
  expect(calibration).toMatchObject({ images: 636, agreement: threshold!.agreement });
  // Answers that end early cost no accuracy that 636 pictures could show.
  expect(calibration!.mixedTop1).toBeGreaterThan(calibration!.wholeTop1Low!);
});

test('its files are what the manifest says, and small', async () => {
  const manifest = await parseManifest(await json(join(served, 'manifest.json')));
  let bytes = 0;
  for (const segment of [...manifest.segments, ...manifest.exits!]) {
    const content = await readFile(join(served, segment.file));
    expect(await sha256Hex(content)).toBe(segment.sha256);
    bytes += content.length;
  }
  expect(bytes).toBeLessThan(4e6);
  expect((await stat(join(root, 'training/neck10.onnx'))).size).toBeLessThan(4e6);
});
