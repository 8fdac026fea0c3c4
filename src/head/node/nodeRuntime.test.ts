// The Node runtime alone: frames, pictures as cameras write them, and threads that die.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { drawnPicture, tinyModel } from '../../client/tinyModel.fixture.ts';
import { decodeTensor } from '../../codec/cpu/decode.ts';
import { encodeTensor } from '../../codec/cpu/encode.ts';
import { PRESETS } from '../../codec/params.ts';
import { modelTag } from '../../model/manifest.ts';
import { type LocalServer, localServer } from '../../transport/localServer.fixture.ts';
import { INPUT_CUT } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { HeadRuntime } from '../runtime.ts';
import { nodeRuntime } from './nodeRuntime.ts';

const model = await tinyModel();
const photo = await drawnPicture();
let server: LocalServer;
let runtime: HeadRuntime;

beforeAll(async () => {
  server = await localServer(async (req, res) => {
    const segment = model.manifest.segments.find((s) => req.url?.endsWith(s.sha256));
    if (segment) res.end(await readFile(model.path(segment.file)));
    else res.writeHead(404).end();
  });
  runtime = nodeRuntime();
  await runtime.load(source(), 2);
});
afterAll(async () => {
  await runtime?.close();
  await server?.close();
});

const source = () => ({ manifest: model.manifest, artifacts: server.url });
const logits = async (bytes: Uint8Array) => {
  const { outputs } = await runtime.local({ kind: 'file', bytes });
  return [...(outputs.logits!.data as Float32Array)];
};
const encode = (image: Sharp) => image.png().toBuffer();

test('frames hold the feature: raw exactly, slicer as the codec alone would', async () => {
  const raw = await runtime.head({ kind: 'file', bytes: photo }, 1, PRESETS.raw);
  const frame = readFrame(raw.frame);
  expect(frame).toMatchObject({ kind: 'request', modelTag: modelTag(model.manifest), cut: 1 });
  const feature = decodeTensor(frame.tensors[0]!);
  expect(feature.shape).toEqual([1, 6, 4, 4]);
  expect(raw.rawBytes).toBe(6 * 4 * 4 * 4);
  const packed = readFrame((await runtime.head({ kind: 'file', bytes: photo }, 1, PRESETS.slicer)).frame);
  expect(packed.tensors[0]).toEqual(encodeTensor(feature, PRESETS.slicer));
});

test('uploads are pictures of exactly the model’s crop', async () => {
  expect(await runtime.formats!()).toEqual(['jpeg', 'webp']);
  for (const [format, code] of [
    ['jpeg', 0],
    ['webp', 1],
  ] as const) {
    const { frame, rawBytes } = await runtime.remote({ kind: 'file', bytes: photo }, format, 0.9);
    const { cut, tensors } = readFrame(frame);
    expect(cut).toBe(INPUT_CUT);
    expect(tensors[0]).toMatchObject({ family: 'image', dtype: 'uint8', shape: [16, 16, 3] });
    expect([...tensors[0]!.params]).toEqual([code, 1, 0, 0]);
    expect(await sharp(tensors[0]!.payload).metadata()).toMatchObject({ format, width: 16, height: 16 });
    expect(rawBytes).toBe(16 * 16 * 3 * 4);
  }
});

test('a photo lies as the camera meant it (EXIF orientation)', async () => {
  const sideways = await sharp(photo).rotate(90).png().toBuffer();
  const tagged = await sharp(photo).withMetadata({ orientation: 6 }).png().toBuffer();
  expect(await logits(tagged)).toEqual(await logits(sideways));
  expect(await logits(tagged)).not.toEqual(await logits(photo));
});

test('transparency lies on white; grey, palette, 16 bit and CMYK are pictures too', async () => {
  const half = sharp(photo).ensureAlpha(0);
  const white = sharp({ create: { width: 60, height: 40, channels: 3, background: '#fff' } });
  expect(await logits(await encode(half))).toEqual(await logits(await encode(white)));
  const grey = await logits(await encode(sharp(photo).greyscale()));
  const grey16 = await logits(await encode(sharp(photo).greyscale().toColourspace('grey16')));
  for (const [i, x] of grey.entries()) expect(grey16[i]).toBeCloseTo(x, 1);
  const others = [
    await sharp(photo).png({ palette: true }).toBuffer(),
    await sharp(photo).toColourspace('cmyk').jpeg().toBuffer(),
    await sharp(photo).gif().toBuffer(),
    await sharp(photo).webp().toBuffer(),
  ];
  const plain = await logits(photo);
  for (const other of others) {
    for (const [i, x] of (await logits(other)).entries()) expect(Math.abs(x - plain[i]!)).toBeLessThan(0.2);
  }
});

test('what cannot be decoded, has too many pixels or has no place in Node', async () => {
  const run = (bytes: Uint8Array) => runtime.local({ kind: 'file', bytes });
  const jpeg = await drawnPicture('jpeg', 300, 200);
  await expect(run(jpeg.subarray(0, jpeg.length >> 1))).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
  await expect(run(new Uint8Array(500))).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
  const huge = await sharp({ create: { width: 12000, height: 6000, channels: 3, background: '#123' } })
    .png()
    .toBuffer();
  expect(huge.length).toBeLessThan(1_000_000);
  await expect(run(huge)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' });
  const bitmap = { width: 1, height: 1 } as ImageBitmap;
  await expect(runtime.local({ kind: 'bitmap', bitmap })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  const tensors = { x: { dtype: 'float32' as const, shape: [1, 3], data: new Float32Array(3) } };
  await expect(runtime.local({ kind: 'tensors', tensors })).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('[1,3,16,16]'),
  });
  expect(await logits(photo)).toHaveLength(5);
});

test('a dead thread rejects what is pending within a second; the next call has a new one, loaded', async () => {
  const threads: Worker[] = [];
  const file = new URL('./nodeWorker.ts', import.meta.url);
  // Terminating a thread inside onnxruntime would abort this process, so the first one leaves by itself.
  const dying = `require('node:worker_threads').parentPort.on('message', (m) => {
    if (m.call.method === 'local') process.exit(3);
  }); import(${JSON.stringify(file.href)})`;
  const mortal = nodeRuntime(() => {
    threads.push(threads.length === 0 ? new Worker(dying, { eval: true }) : new Worker(file));
    return threads.at(-1)!;
  });
  await mortal.load(source(), 2);
  const pending = mortal.local({ kind: 'file', bytes: photo });
  const started = performance.now();
  await expect(pending).rejects.toMatchObject({ code: 'WORKER_FAILED' });
  expect(performance.now() - started).toBeLessThan(1000);
  const { outputs } = await mortal.local({ kind: 'file', bytes: photo });
  expect([...(outputs.logits!.data as Float32Array)]).toEqual(await logits(photo));
  await threads[1]!.terminate(); // while idle
  expect((await mortal.head({ kind: 'file', bytes: photo }, 0, PRESETS.raw)).rawBytes).toBe(4 * 8 * 8 * 4);
  expect(threads).toHaveLength(3);
  await mortal.close();
});

test('calls that find a new thread at the same moment load it once', async () => {
  const threads: Worker[] = [];
  const mortal = nodeRuntime(() => {
    threads.push(new Worker(new URL('./nodeWorker.ts', import.meta.url)));
    return threads.at(-1)!;
  });
  const input = { kind: 'file', bytes: photo } as const;
  await mortal.load(source(), 1);
  const { frame } = await mortal.head(input, 1, PRESETS.raw);
  await threads[0]!.terminate(); // while idle
  const runs = Array.from({ length: 3 }, () => mortal.head(input, 1, PRESETS.raw));
  for (const run of await Promise.all(runs)) expect(run.frame).toEqual(frame);
  await mortal.load(source(), 2);
  const { outputs } = await mortal.local(input);
  expect([...(outputs.logits!.data as Float32Array)]).toEqual(await logits(photo));
  await mortal.close();
});

test('a thread that cannot start is WORKER_FAILED', async () => {
  const broken = nodeRuntime(() => new Worker('throw new Error("no luck")', { eval: true }));
  await expect(broken.load(source(), 0)).rejects.toMatchObject({
    code: 'WORKER_FAILED',
    message: expect.stringContaining('no luck'),
  });
  await broken.close();
});

test('close rejects pending calls and later ones with CLOSED; close twice is fine', async () => {
  const short = nodeRuntime();
  await short.load(source(), 0);
  const pending = short.head({ kind: 'file', bytes: photo }, 0, PRESETS.raw);
  const settled = expect(pending).rejects.toMatchObject({ code: 'CLOSED' });
  await short.close();
  await settled;
  await short.close();
  await expect(short.head({ kind: 'file', bytes: photo }, 0, PRESETS.raw)).rejects.toMatchObject({
    code: 'CLOSED',
  });
});

test('a runtime that nobody closed does not keep the process alive', async () => {
  const script = `
    import { nodeRuntime } from ${JSON.stringify(new URL('./nodeRuntime.ts', import.meta.url).href)};
    const runtime = nodeRuntime();
    await runtime.load(${JSON.stringify(source())}, 0);
    console.log('loaded');`;
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  expect(stdout).toBe('loaded\n');
});
