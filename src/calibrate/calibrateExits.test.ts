// `isthmus calibrate --exits` on drawn pictures and a small network whose exits are known: the model's own end, which always agrees,
// and one that knows nothing.
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attachExit } from '../model/attachExit.ts';
import { readManifest, readPart, updateModelFolder, writeModelFolder } from '../model/node/modelFolder.ts';
import { partitionModel } from '../model/partition.ts';
import { nodeShapeProbe as probe } from '../model/probeNode.ts';
import { node, model as onnx, tinyNet, value, weight } from '../model/testGraphs.fixture.ts';
import { calibrateExits } from './calibrateExits.ts';

const preprocess = {
  resize: { short: 16 },
  crop: [16, 16],
  mean: [0.5, 0.5, 0.5],
  // Large inputs, because the network has no training that would make its answers differ.
  std: [0.002, 0.002, 0.002],
  layout: 'NCHW',
  channels: 'RGB',
};
const labels = ['a', 'b', 'c', 'd', 'e'];
const options = { trialImages: 100, testImages: 100, agreement: 0.9, progress: () => undefined };

let folder: string;
let images: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-exits-'));
  images = join(folder, 'images');
  model = join(folder, 'tiny');
  const split = await partitionModel(tinyNet(), {
    name: 'tiny',
    probe,
    cuts: ['r1', 'p'],
    preprocess,
    labels,
  });
  await writeModelFolder(model, split);
  await mkdir(images);
  const named: Record<string, number> = {};
  for (let i = 0; i < 160; i++) {
    const pixels = Uint8Array.from({ length: 18 * 18 * 3 }, (_, at) => {
      const [x, y, c] = [Math.floor(at / 3) % 18, Math.floor(at / 54), at % 3];
      return 128 + 100 * Math.sin((x * ((i % 5) + 1) + y * (i + 1)) / 5 + c * i);
    });
    const file = `${String(i).padStart(3, '0')}.png`;
    await sharp(pixels, { raw: { width: 18, height: 18, channels: 3 } }).toFile(join(images, file));
    named[file] = i % 5;
  }
  await writeFile(join(images, 'labels.json'), JSON.stringify(named));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function withExit(name: string, cut: string, file: Uint8Array, at: string): Promise<void> {
  const made = await attachExit(await readManifest(at), { name, cut, onnx: file, probe });
  await updateModelFolder(at, made.manifest, made.files);
}

/** Always the same class, and sure of it: it agrees only by chance. */
const stubborn = onnx({
  nodes: [
    node('GlobalAveragePool', 'r1', 'g'),
    node('Flatten', 'g', 'f'),
    node('Gemm', 'f w b', 'z', { transB: 1 }),
    node('Sub', 'z z', 'zero'),
    node('Add', 'zero b', 'logits'),
  ],
  inputs: [value('r1', ['N', 4, 8, 8])],
  outputs: [value('logits', ['N', 5])],
  weights: [weight('w', [5, 4]), weight('b', [5])],
});

test('the end of the model itself may answer always, and its figures are the model’s', async () => {
  const own = join(folder, 'own');
  await cp(model, own, { recursive: true });
  const before = await readManifest(own);
  await withExit('end', 'p', await readPart(own, before.segments[2]!), own);
  const [exit] = await calibrateExits(own, { ...options, images });
  const after = await readManifest(own);
  expect(after.id).toBe(before.id);
  expect(after.exits).toEqual([exit]);
  // Of five pictures one is for trials and three are for the test.
  expect(exit!.threshold).toMatchObject({ agreement: 1, coverage: expect.any(Number) });
  expect(exit!.threshold!.coverage).toBeGreaterThan(0.8);
  const { images: count, aloneAgreement, aloneTop1, wholeTop1, mixedTop1 } = exit!.calibration!;
  expect([count, aloneAgreement]).toEqual([96, 1]);
  expect([aloneTop1, mixedTop1]).toEqual([wholeTop1, wholeTop1]);
});

test('an exit that knows nothing gets no threshold, loses the one it had, and the next exit sees all pictures', async () => {
  const both = join(folder, 'both');
  await cp(model, both, { recursive: true });
  await withExit('end', 'p', await readPart(both, (await readManifest(both)).segments[2]!), both);
  await withExit('stubborn', 'r1', stubborn, both);
  const manifest = await readManifest(both);
  manifest.exits![0]!.threshold = { rule: 'margin', value: 0, agreement: 1, coverage: 1 };
  await updateModelFolder(both, manifest, new Map());
  const [first, second] = await calibrateExits(both, { ...options, images });
  expect(first).toMatchObject({ name: 'stubborn', calibration: { images: 96, reaching: 96, coverage: 0 } });
  expect(first!.threshold).toBeUndefined();
  expect(first!.calibration!.aloneAgreement).toBeLessThan(0.9);
  expect(second).toMatchObject({ name: 'end', calibration: { reaching: 96 } });
});

test('mistakes are named', async () => {
  const refused = (change: object) => calibrateExits(model, { ...options, images, ...change });
  await expect(refused({})).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringMatching(/no exits/),
  });
  await expect(refused({ agreement: 1 })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});
