// The whole command on a network of a few kilobytes and drawn pictures: files, manifest, figures, and that what the
// manifest promises is what the codec then does.
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCutProfile, readManifest, writeModelFolder } from '../model/node/modelFolder.ts';
import { partitionModel } from '../model/partition.ts';
import { nodeShapeProbe as probe } from '../model/probeNode.ts';
import { node, model as onnxModel, tinyNet, value, weight } from '../model/testGraphs.fixture.ts';
import { calibrateModel } from './calibrateModel.ts';
import { calibrateUploads } from './calibrateUploads.ts';

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
const options = {
  fitImages: 16,
  trialImages: 5,
  testImages: 10,
  presets: ['raw', 'slicer', 'isthmus', 'isthmus-fine'],
  progress: () => undefined,
} as const;

let folder: string;
let images: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-calibrate-'));
  images = join(folder, 'images');
  model = join(folder, 'tiny');
  await writeModelFolder(
    model,
    await partitionModel(tinyNet(), { name: 'tiny', probe, cuts: ['r1', 'p'], preprocess, labels }),
  );
  for (const [label, name] of labels.entries()) {
    await mkdir(join(images, name), { recursive: true });
    for (let i = 0; i < 22; i++) {
      const side = 18;
      const pixels = Uint8Array.from({ length: side * side * 3 }, (_, at) => {
        const [x, y, c] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side), at % 3];
        return 128 + 100 * Math.sin((x * (label + 1) + y * (i + 1)) / 5 + c * label + i);
      });
      const picture = sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
      await picture.png().toFile(join(images, name, `${i}.png`));
    }
  }
});
afterAll(() => rm(folder, { recursive: true }));

describe('calibrateModel', () => {
  it('writes profiles that keep the loss, and figures of all presets', async () => {
    const loss = 1e-4;
    const before = await readManifest(model);
    const reports = await calibrateModel(model, { ...options, images, loss });
    const hash = (at: number) => reports[at]!.cut.profile!.sha256.slice(0, 8);
    expect((await readdir(model)).sort()).toEqual([
      'manifest.json',
      `p-${hash(1)}.ispr`,
      `r1-${hash(0)}.ispr`,
      's0.onnx',
      's1.onnx',
      's2.onnx',
    ]);
    const after = await readManifest(model);
    expect(after.id).toBe(before.id);
    for (const [i, { cut, profile }] of reports.entries()) {
      expect(profile?.candidates).toHaveLength(6);
      expect(profile?.best.loss).toBeLessThanOrEqual(1.1 * loss);
      expect(after.cuts[i]).toEqual(cut);
      const read = await readCutProfile(model, after.cuts[i]!);
      expect(read?.step).toBe(profile?.best.step);
      const figures = after.cuts[i]!.calibration!;
      expect(Object.keys(figures)).toEqual(['local', 'raw', 'slicer', 'isthmus', 'isthmus-fine']);
      expect(figures.local).toMatchObject({ images: 10, bytes: 0, agreement: 1, kl: 0 });
      expect(figures.raw).toMatchObject({ kl: 0, agreement: 1, top1: figures.local!.top1 });
      expect(figures.raw!.bytes).toBeGreaterThan(after.cuts[i]!.rawBytes);
      expect(figures.isthmus!.bytes).toBeLessThan(figures['isthmus-fine']!.bytes!);
      expect(figures.isthmus!.kl).toBeGreaterThan(figures['isthmus-fine']!.kl!);
      expect(figures.isthmus!.kl).toBeLessThan(10 * loss);
      for (const { bytes, bytesLow, bytesHigh, top1, top1Low, top1High } of Object.values(figures)) {
        expect(bytesLow).toBeLessThanOrEqual(bytes!);
        expect(bytesHigh).toBeGreaterThanOrEqual(bytes!);
        expect(top1Low).toBeLessThanOrEqual(top1!);
        expect(top1High).toBeGreaterThanOrEqual(top1!);
      }
    }
  });

  it('measures uploads, alone as well, and then touches nothing else', async () => {
    const { uploads, ...before } = await readManifest(model);
    expect(uploads!.encoder).toContain('sharp');
    const at = (format: string) => uploads!.settings.filter((one) => one.format === format);
    expect(at('jpeg').map(({ quality }) => quality)).toEqual(at('webp').map(({ quality }) => quality));
    for (const format of ['jpeg', 'webp']) {
      const [coarse, fine] = [at(format)[0]!.figures, at(format).at(-1)!.figures];
      expect(coarse).toMatchObject({ images: 10 });
      expect(coarse.bytes).toBeLessThan(fine.bytes!);
      expect(coarse.agreementLow).toBeLessThanOrEqual(coarse.agreement!);
    }
    await calibrateUploads(model, { images, testImages: 4, progress: () => undefined });
    const { uploads: again, ...after } = await readManifest(model);
    expect(after).toEqual(before);
    expect(again!.settings.every(({ figures }) => figures.images === 4)).toBe(true);
  });

  it('spends fewer bytes where more may be lost, and touches no other cut', async () => {
    const one = { ...options, images, cuts: ['p'], presets: ['isthmus'] } as const;
    const [strict] = await calibrateModel(model, { ...one, loss: 1e-5 });
    const others = (await readManifest(model)).cuts[0];
    const [lax] = await calibrateModel(model, { ...one, loss: 1e-2 });
    expect(lax!.cut.calibration!.isthmus!.bytes).toBeLessThan(strict!.cut.calibration!.isthmus!.bytes!);
    expect((await readManifest(model)).cuts[0]).toEqual(others);
  });

  it('keeps what another calibration wrote meanwhile, and writes nothing into another split', async () => {
    const twice = join(folder, 'twice');
    const split = (cuts: string[]) =>
      partitionModel(tinyNet(), { name: 'twice', probe, cuts, preprocess, labels });
    await writeModelFolder(twice, await split(['r1', 'p']));
    const one = { ...options, images, presets: ['isthmus'], loss: 1e-3 } as const;
    const long = calibrateModel(twice, { ...one, cuts: ['r1'] });
    await calibrateModel(twice, { ...one, cuts: ['p'], fitImages: 4, trialImages: 1, testImages: 1 });
    await long;
    for (const cut of (await readManifest(twice)).cuts)
      expect(await readCutProfile(twice, cut), cut.name).toBeDefined();
    let again: Promise<void> | undefined;
    const progress = () => {
      again ??= split(['r2']).then((other) => writeModelFolder(twice, other));
    };
    await expect(calibrateModel(twice, { ...one, cuts: ['r1'], progress })).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
    });
    await again;
    expect((await readdir(twice)).sort()).toEqual(['manifest.json', 's0.onnx', 's1.onnx']);
  });

  it('refuses class folders of another number of classes, and labels beyond the last class', async () => {
    const wrong = { ...options, images: join(folder, 'wrong'), loss: 0.03 };
    await mkdir(wrong.images);
    for (const name of labels.slice(1))
      await cp(join(images, name), join(wrong.images, name), { recursive: true });
    const refusal = { code: 'OPTION_INVALID', message: expect.stringContaining('5 classes') as string };
    await expect(calibrateModel(model, wrong)).rejects.toMatchObject(refusal);
    const names = Array.from({ length: 20 }, (_, i) => `${i}.png`);
    await writeFile(
      join(wrong.images, 'labels.json'),
      JSON.stringify(Object.fromEntries(names.map((n, i) => [n, i]))),
    );
    await expect(calibrateModel(model, wrong)).rejects.toMatchObject(refusal);
  });

  it('refuses a model whose cut is not float32, by the name of the tensor', async () => {
    const half = join(folder, 'half');
    const cast = (from: string, to: string, type: number) => node('Cast', from, to, { to: type });
    const bytes = onnxModel({
      nodes: [
        node('Conv', 'x w1', 'c1', { strides: [2, 2], pads: [1, 1, 1, 1] }),
        cast('c1', 'half', 10),
        cast('half', 'full', 1),
        node('GlobalAveragePool', 'full', 'gap'),
        node('Flatten', 'gap', 'logits'),
      ],
      inputs: [value('x', ['N', 3, 16, 16])],
      outputs: [value('logits', ['N', 5])],
      weights: [weight('w1', [5, 3, 3, 3])],
    });
    const split = await partitionModel(bytes, { name: 'half', probe, cuts: ['half'], preprocess });
    await writeModelFolder(half, split);
    await expect(calibrateModel(half, { ...options, images, loss: 0.03 })).rejects.toMatchObject({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringContaining("'half'") as string,
    });
  });

  it('refuses models without a picture as input, cuts that are not there, and pictures that are none', async () => {
    const plain = join(folder, 'plain');
    await writeModelFolder(plain, await partitionModel(tinyNet(), { name: 'plain', probe, cuts: ['r1'] }));
    await expect(calibrateModel(plain, { ...options, images, loss: 0.03 })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('takes no pictures') as string,
    });
    await expect(
      calibrateModel(model, { ...options, images, loss: 0.03, cuts: ['r9'] }),
    ).rejects.toMatchObject({ code: 'CUT_INVALID' });
    const broken = join(folder, 'broken');
    await mkdir(broken);
    const names = Array.from({ length: 20 }, (_, i) => `${i}.png`);
    for (const name of names) await writeFile(join(broken, name), 'no picture');
    await writeFile(
      join(broken, 'labels.json'),
      JSON.stringify(Object.fromEntries(names.map((n) => [n, 0]))),
    );
    await expect(calibrateModel(model, { ...options, images: broken, loss: 0.03 })).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringContaining('0.png') as string,
    });
  });
});
