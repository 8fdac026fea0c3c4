// What POST /models/:name/infer refuses, and how: the right code, in a frame for those who speak frames and in JSON for
// the others, never a stack.
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../model/manifest.ts';
import { FRAME_TYPE, INPUT_CUT } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { createTailServer, type TailServer } from '../index.ts';
import { imageTensor, photo, rawTensor, testModels, tinyFrame, wave } from '../testModels.fixture.ts';

let tail: TailServer;
let tiny: Manifest;
let slow: Manifest;

beforeAll(async () => {
  const made = await testModels();
  ({ tiny, slow } = made);
  const maxBodyBytes = 1 << 20;
  tail = await createTailServer({ models: made.dir, port: 0, logger: false, maxBodyBytes });
});
afterAll(async () => {
  await tail.close();
});

const post = (body: Uint8Array<ArrayBuffer> | Buffer, headers: Record<string, string> = {}, name = 'tiny') =>
  tail.app.request(`/models/${name}/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE, ...headers },
    body: new Uint8Array(body),
  });

async function refused(response: Response): Promise<[number, string, string]> {
  const json = response.headers.get('content-type') === 'application/json';
  const error = json
    ? ((await response.json()) as { error: { code: string; message: string } }).error
    : readFrame(new Uint8Array(await response.arrayBuffer())).meta.error!;
  expect(error.message).not.toMatch(/ at .*:\d+:\d+/);
  return [response.status, error.code, error.message];
}
const frameRefusals: [string, () => Uint8Array<ArrayBuffer>, number, string][] = [
  ['an empty body', () => new Uint8Array(0), 400, 'FRAME_INVALID'],
  [
    'no frame',
    () => new TextEncoder().encode('{"instances": [[1,2,3]] and more of it, to be long}'),
    400,
    'FRAME_INVALID',
  ],
  ['a cut-short frame', () => tinyFrame(tiny).slice(0, 500), 400, 'FRAME_INVALID'],
  ['a flipped bit', () => tinyFrame(tiny).map((b, i) => (i === 600 ? b ^ 4 : b)), 400, 'FRAME_CORRUPT'],
  ['another version', () => tinyFrame(tiny).map((b, i) => (i === 4 ? 9 : b)), 400, 'FRAME_VERSION'],
  ['a reply', () => tinyFrame(tiny, { kind: 'reply' }), 400, 'FRAME_INVALID'],
  ['another model', () => tinyFrame(slow), 409, 'MODEL_MISMATCH'],
  ['a cut that is not there', () => tinyFrame(tiny, { cut: 1 }), 400, 'CUT_INVALID'],
  ['no tensors', () => tinyFrame(tiny, { tensors: [] }), 400, 'INPUT_INVALID'],
  [
    'another shape',
    () => tinyFrame(tiny, { tensors: [rawTensor([1, 4, 4, 16], wave(256))] }),
    400,
    'INPUT_INVALID',
  ],
  [
    'a batch of two',
    () => tinyFrame(tiny, { tensors: [rawTensor([2, 4, 8, 8], wave(512))] }),
    400,
    'INPUT_INVALID',
  ],
  [
    'another type',
    () => tinyFrame(tiny, { tensors: [{ ...rawTensor([1, 4, 8, 8], wave(256)), dtype: 'int32' }] }),
    400,
    'INPUT_INVALID',
  ],
  [
    'too few elements',
    () => tinyFrame(tiny, { tensors: [rawTensor([1, 4, 8, 8], wave(255))] }),
    400,
    'FRAME_INVALID',
  ],
  [
    'a picture at a cut',
    () => tinyFrame(tiny, { tensors: [imageTensor(wave(8) as never, false)] }),
    400,
    'INPUT_INVALID',
  ],
  [
    'a picture that is none',
    () => tinyFrame(tiny, { cut: INPUT_CUT, tensors: [imageTensor(new Uint8Array(99), false)] }),
    400,
    'IMAGE_INVALID',
  ],
  [
    'params of a picture that are none',
    () =>
      tinyFrame(tiny, {
        cut: INPUT_CUT,
        tensors: [{ ...imageTensor(new Uint8Array(99), false), params: Uint8Array.of(0, 0, 0, 1) }],
      }),
    400,
    'FRAME_INVALID',
  ],
  ['a deadline that is none', () => tinyFrame(tiny, { meta: { deadlineMs: 'soon' } }), 400, 'FRAME_INVALID'],
];

test.each(frameRefusals)('%s', async (_, frame, status, code) => {
  const response = await post(frame());
  expect(response.headers.get('content-type')).toBe(FRAME_TYPE);
  expect(await refused(response)).toMatchObject([status, code, expect.any(String)]);
  const json = await post(frame(), { accept: 'application/json' });
  expect(json.headers.get('content-type')).toBe('application/json');
  expect(await refused(json)).toMatchObject([status, code, expect.any(String)]);
});

test('both ids are in the message about another model', async () => {
  const [, , message] = await refused(await post(tinyFrame(slow)));
  expect(message).toContain(tiny.id.slice(0, 16));
  expect(message).toContain(slow.id.slice(0, 16));
});

test('another picture size than the prepared one', async () => {
  const file = await photo(9, 9).png().toBuffer();
  const frame = tinyFrame(tiny, { cut: INPUT_CUT, tensors: [imageTensor(file, true)] });
  expect(await refused(await post(frame))).toMatchObject([400, 'IMAGE_INVALID', expect.any(String)]);
});

test('a model that takes no pictures, an unknown model, an unknown type', async () => {
  const png = await photo().png().toBuffer();
  const asPng = { 'content-type': 'image/png' };
  expect(await refused(await post(png, asPng, 'slow'))).toMatchObject([
    400,
    'INPUT_INVALID',
    expect.any(String),
  ]);
  expect(await refused(await post(png, asPng, 'none'))).toMatchObject([
    404,
    'MODEL_NOT_FOUND',
    expect.any(String),
  ]);
  expect(await refused(await post(tinyFrame(tiny), {}, 'none'))).toMatchObject([
    404,
    'MODEL_NOT_FOUND',
    expect.any(String),
  ]);
  for (const type of ['image/gif', 'application/json', 'text/plain', '']) {
    expect(await refused(await post(png, { 'content-type': type }))).toMatchObject([
      415,
      'REQUEST_INVALID',
      expect.stringContaining(FRAME_TYPE),
    ]);
  }
});

test('damaged, foreign and oversized pictures', async () => {
  const jpeg = await photo(300, 200).jpeg().toBuffer();
  const send = async (file: Buffer) =>
    (await refused(await post(file, { 'content-type': 'image/jpeg' }))).slice(0, 2);
  expect(await send(jpeg.subarray(0, jpeg.length >> 1))).toEqual([400, 'IMAGE_INVALID']);
  expect(await send(jpeg.subarray(0, 20))).toEqual([400, 'IMAGE_INVALID']);
  expect(await send(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'))).toEqual([
    400,
    'IMAGE_INVALID',
  ]);
  expect(await send(await photo().gif().toBuffer())).toEqual([400, 'IMAGE_INVALID']);
  expect(await send(Buffer.alloc(0))).toEqual([400, 'IMAGE_INVALID']);
  // 100 megapixels of one colour weigh little as a file and 400 MB as pixels.
  const bomb = await sharp({ create: { width: 10000, height: 10000, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  expect(bomb.length).toBeLessThan(2e6);
  expect(await send(bomb)).toEqual([413, 'IMAGE_TOO_LARGE']);
});

test('frames above the limit', async () => {
  const [status, code, message] = await refused(await post(new Uint8Array((1 << 20) + 1)));
  expect([status, code]).toEqual([413, 'TOO_LARGE']);
  expect(message).toContain('1 MiB');
});

test('a defect of our own: INTERNAL with the request id, the stack in the log only', async () => {
  const logged: { requestId?: string; err?: Error }[] = [];
  const { dir, tiny: model } = await testModels();
  const broken = await createTailServer({
    models: dir,
    port: 0,
    logger: { info: () => undefined, warn: () => undefined, error: (fields) => void logged.push(fields) },
    backend: {
      infer: () => Promise.reject(new TypeError('secret.path is undefined')),
      close: () => Promise.resolve(),
    },
  });
  const response = await broken.app.request('/models/tiny/infer', {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE },
    body: tinyFrame(model),
  });
  const [status, code, message] = await refused(response);
  expect([status, code]).toEqual([500, 'INTERNAL']);
  expect(message).toContain(response.headers.get('x-request-id'));
  expect(message).not.toContain('secret');
  expect(logged).toEqual([{ requestId: response.headers.get('x-request-id'), err: expect.any(TypeError) }]);
  await broken.close();
});
