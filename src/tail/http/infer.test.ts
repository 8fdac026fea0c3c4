// POST /models/:name/infer with real frames, pictures and onnxruntime-node: the answers are those of the segments.

import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeTensor } from '../../codec/cpu/decode.ts';
import { encodeTensor } from '../../codec/cpu/encode.ts';
import { PRESETS } from '../../codec/params.ts';
import { preprocessImage } from '../../image/preprocess.ts';
import type { Manifest } from '../../model/manifest.ts';
import { viewBytes } from '../../tensor.ts';
import { FRAME_TYPE, INPUT_CUT } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { createTailServer, type TailServer } from '../index.ts';
import { imageTensor, photo, rawTensor, testModels, tinyFrame, wave } from '../testModels.fixture.ts';

let tail: TailServer;
let tiny: Manifest;
let session: InferenceSession;
let head: InferenceSession;

beforeAll(async () => {
  const made = await testModels();
  ({ tiny } = made);
  tail = await createTailServer({ models: made.dir, port: 0, logger: false });
  head = await InferenceSession.create(join(made.dir, 'tiny', 's0.onnx'));
  session = await InferenceSession.create(join(made.dir, 'tiny', 's1.onnx'));
});
afterAll(async () => {
  await tail.close();
});

const post = (body: Uint8Array<ArrayBuffer> | Buffer, headers: Record<string, string> = {}) =>
  tail.app.request('/models/tiny/infer', {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE, ...headers },
    body: new Uint8Array(body),
  });

async function whole(x: Float32Array): Promise<Float32Array> {
  const { feature } = await head.run({ x: new OrtTensor('float32', x, [1, 3, 8, 8]) });
  return (await session.run({ feature: feature! })).scores!.data as Float32Array;
}

async function scores(response: Response): Promise<Float32Array> {
  expect(response.headers.get('content-type')).toBe(FRAME_TYPE);
  const frame = readFrame(new Uint8Array(await response.arrayBuffer()));
  expect(frame.meta.error).toBeUndefined();
  expect([frame.kind, response.status]).toEqual(['reply', 200]);
  expect(frame.modelTag).toBe(tiny.id.slice(0, 16));
  expect(frame.tensors.map((t) => t.shape)).toEqual([[1, 3]]);
  for (const stage of ['decode', 'queue', 'tail', 'encode']) {
    expect(frame.meta.timings![stage]).toBeGreaterThanOrEqual(0);
    expect(response.headers.get('server-timing')).toMatch(new RegExp(`${stage};dur=[0-9.]+`));
  }
  return viewBytes('float32', frame.tensors[0]!.payload) as Float32Array;
}

test('a raw feature', async () => {
  const want = await session.run({ feature: new OrtTensor('float32', wave(256), [1, 4, 8, 8]) });
  expect(await scores(await post(tinyFrame(tiny)))).toEqual(want.scores!.data);
});

test('a slicer feature equals the tail fed with the decoded feature', async () => {
  const encoded = encodeTensor({ dtype: 'float32', shape: [1, 4, 8, 8], data: wave(256) }, PRESETS.slicer);
  const decoded = decodeTensor(encoded).data as Float32Array;
  const want = await session.run({ feature: new OrtTensor('float32', decoded.slice(), [1, 4, 8, 8]) });
  expect(await scores(await post(tinyFrame(tiny, { tensors: [encoded] })))).toEqual(want.scores!.data);
});

test('the input as tensors', async () => {
  const frame = tinyFrame(tiny, { cut: INPUT_CUT, tensors: [rawTensor([1, 3, 8, 8], wave(192))] });
  expect(await scores(await post(frame))).toEqual(await whole(wave(192)));
});

test('a picture in a frame, any size or prepared, and as the body', async () => {
  const png = await photo().png().toBuffer();
  const { data, info } = await sharp(png).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  const pixels = { width: info.width, height: info.height, data };
  const want = await whole(preprocessImage(pixels, tiny.preprocess!).data as Float32Array);
  const frame = tinyFrame(tiny, { cut: INPUT_CUT, tensors: [imageTensor(png, false)] });
  expect(await scores(await post(frame))).toEqual(want);
  expect(await scores(await post(png, { 'content-type': 'image/png' }))).toEqual(want);

  const small = await photo(8, 8).png().toBuffer();
  const prepared = tinyFrame(tiny, { cut: INPUT_CUT, tensors: [imageTensor(small, true)] });
  const bytes = await sharp(small).removeAlpha().raw().toBuffer();
  const planes = Float32Array.from({ length: 192 }, (_, i) => {
    const [channel, at] = [Math.floor(i / 64), i % 64];
    return (bytes[at * 3 + channel]! / 255 - 0.5) / 0.25;
  });
  const got = await scores(await post(prepared));
  const exact = await whole(planes);
  for (const [i, x] of got.entries()) expect(x).toBeCloseTo(exact[i]!, 5);
});

test('JPEG, WebP, grey, transparent, 16 bit and turned pictures', async () => {
  const upright = await photo(20, 12).png().toBuffer();
  const turned = await sharp(upright).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer();
  const read = async (file: Buffer) => scores(await post(file, { 'content-type': 'image/png' }));
  expect(await read(turned)).toEqual(await read(upright));
  const white = {
    create: { width: 9, height: 9, channels: 4, background: { r: 255, g: 255, b: 255, alpha: 1 } },
  } as const;
  const clear = { create: { ...white.create, background: { r: 9, g: 0, b: 99, alpha: 0 } } } as const;
  expect(await read(await sharp(clear).png().toBuffer())).toEqual(
    await read(await sharp(white).png().toBuffer()),
  );
  const grey = await photo().greyscale().png().toBuffer();
  const same = await sharp(grey).toColourspace('srgb').removeAlpha().png({ palette: false }).toBuffer();
  expect(await read(grey)).toEqual(await read(same));
  for (const file of [await photo().jpeg().toBuffer(), await photo().webp().toBuffer()])
    expect((await read(file)).length).toBe(3);
  expect((await read(await photo().toColourspace('rgb16').png().toBuffer())).length).toBe(3);
});

test('JSON with labels, best first', async () => {
  const body = await photo().jpeg().toBuffer();
  const response = await post(body, { 'content-type': 'image/jpeg; q=1', accept: 'application/json' });
  const json = (await response.json()) as { labels: { index: number; label: string; score: number }[] };
  expect(json).toMatchObject({
    model: { name: 'tiny', id: tiny.id },
    timings: { tail: expect.any(Number) },
  });
  expect(json.labels.map((l) => l.label).sort()).toEqual(['ant', 'bee', 'cat']);
  expect(json.labels.reduce((sum, l) => sum + l.score, 0)).toBeCloseTo(1, 6);
  expect(json.labels[0]!.score).toBeGreaterThanOrEqual(json.labels[1]!.score);
  const raw = await scores(await post(body, { 'content-type': 'image/jpeg' }));
  expect(json.labels[0]!.index).toBe(raw.indexOf(Math.max(...raw)));
});
