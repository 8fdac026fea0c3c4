// What the REST form of the Open Inference Protocol refuses, and how: compressed bodies and bombs, wrong tensors and
// headers, deadlines. Everything is a 4xx or 503 with {"error": text}.
import { join } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync, gzipSync } from 'node:zlib';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, expect, test } from 'vitest';
import { rawExchange } from '../testClient.fixture.ts';
import { testModels, wave } from '../testModels.fixture.ts';
import { testTails } from '../testTails.fixture.ts';
import { bytesOf, numbers, postOip, refused, x } from './restClient.fixture.ts';

const { dir } = await testModels();
const { start, end } = testTails({ models: dir });
const tail = await start({ maxBodyBytes: 1 << 20 });
afterAll(end);
const head = await InferenceSession.create(join(dir, 'tiny', 's0.onnx'));
const rest = await InferenceSession.create(join(dir, 'tiny', 's1.onnx'));

/** What onnxruntime itself gives for a batch. */
async function scores(x: Float32Array, batch = 1): Promise<Float32Array> {
  const { feature } = await head.run({ x: new OrtTensor('float32', x, [batch, 3, 8, 8]) });
  return (await rest.run({ feature: feature! })).scores!.data as Float32Array;
}

type Rest = Parameters<typeof postOip> extends [string, ...infer Rest] ? Rest : never;
const post = (...[model, json, parts, headers]: Rest) => postOip(tail.url, model, json, parts, headers);

test('compressed bodies up and down, and bombs', async () => {
  const request = Buffer.from(JSON.stringify({ inputs: [x({ data: numbers(192 * 64) }, 64)] }));
  const want = [...(await scores(wave(192 * 64), 64))];
  const packed = [
    ['gzip', gzipSync(request)],
    ['deflate', deflateSync(request)],
    ['deflate', deflateRawSync(request)],
  ] as const;
  for (const [encoding, body] of packed) {
    const { json } = await post('tiny', body, [], { 'content-encoding': encoding });
    expect(json.outputs).toMatchObject([{ data: want }]);
  }
  // The header counts bytes of the JSON before it was packed.
  const binary = Buffer.from(JSON.stringify({ inputs: [x({ parameters: { binary_data_size: 768 } })] }));
  const mixed = gzipSync(Buffer.concat([binary, bytesOf(wave(192))]));
  const headers = { 'content-encoding': 'gzip', 'inference-header-content-length': String(binary.length) };
  expect((await post('tiny', mixed, [], headers)).json.outputs).toMatchObject([
    { data: [...(await scores(wave(192)))] },
  ]);
  await refused(413, post('tiny', gzipSync(Buffer.alloc(4 << 20)), [], { 'content-encoding': 'gzip' }));
  await refused(400, post('tiny', gzipSync(request).subarray(0, 900), [], { 'content-encoding': 'gzip' }));
  await refused(400, post('tiny', request, [], { 'content-encoding': 'br' }));

  const plain = `POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${request.length}\r\n`;
  const answer = await rawExchange(tail.port, [`${plain}Accept-Encoding: gzip\r\n\r\n`, request]);
  const [top, ...body] = answer.split('\r\n\r\n');
  expect(top).toMatch(/content-encoding: gzip/i);
  const unpacked = gunzipSync(Buffer.from(body.join('\r\n\r\n'), 'latin1')).toString();
  expect((JSON.parse(unpacked) as { outputs: unknown }).outputs).toMatchObject([{ data: want }]);
  expect(await rawExchange(tail.port, [`${plain}Accept-Encoding: gzip;q=0\r\n\r\n`, request])).not.toMatch(
    /content-encoding/i,
  );
});

test('wrong tensors, sizes, JSON and headers are 400 with a sentence; nothing is 5xx', async () => {
  const good = x({ data: numbers() });
  const size = (binary_data_size: unknown) => ({ inputs: [x({ parameters: { binary_data_size } })] });
  const cases: [string, object | Uint8Array, Uint8Array[]?, Record<string, string>?][] = [
    ['three elements', { inputs: [x({ data: [1, 2, 3] })] }],
    ['a text', { inputs: [x({ data: numbers().map(String) })] }],
    ['too large for a float', { inputs: [x({ data: numbers().fill(1e39) })] }],
    ['no data', { inputs: [x()] }],
    ['FP64', { inputs: [{ ...good, datatype: 'FP64' }] }],
    ['BYTES', { inputs: [{ ...good, datatype: 'BYTES' }] }],
    ['other shape', { inputs: [{ ...good, shape: [1, 8, 8, 3] }] }],
    ['other rank', { inputs: [{ ...good, shape: [3, 8, 8] }] }],
    ['negative', { inputs: [{ ...good, shape: [-1, 3, 8, 8] }] }],
    ['batch of 0', { inputs: [{ ...good, shape: [0, 3, 8, 8], data: [] }] }],
    ['huge batch', { inputs: [{ ...good, shape: [2 ** 40, 3, 8, 8] }] }],
    ['other name', { inputs: [{ ...good, name: 'y' }] }],
    ['twice', { inputs: [good, good] }],
    ['none', { inputs: [] }],
    ['null inputs', { inputs: null }],
    ['output that is not there', { inputs: [good], outputs: [{ name: 'feature' }] }],
    ['reserved', { inputs: [good], parameters: { triton_secret: 1 } }],
    ['sequence without id', { inputs: [good], parameters: { sequence_start: true } }],
    ['timeout', { inputs: [good], parameters: { timeout: -1 } }],
    ['size', size(767), [bytesOf(wave(192))]],
    ['size as text', size('768'), [bytesOf(wave(192))]],
    ['nothing behind', size(768)],
    ['too little behind', size(768), [bytesOf(wave(10))]],
    ['too much behind', size(768), [bytesOf(wave(193))]],
    [
      'both',
      { inputs: [x({ data: numbers(), parameters: { binary_data_size: 768 } })] },
      [bytesOf(wave(192))],
    ],
    ['no JSON', Buffer.from('{"inputs": [')],
    ['an array', Buffer.from('[]')],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['deep', Buffer.from(`{"inputs": ${'['.repeat(5000)}${']'.repeat(5000)}}`)],
    ['length', { inputs: [good] }, [], { 'inference-header-content-length': '999999' }],
    ['length as text', { inputs: [good] }, [], { 'inference-header-content-length': 'ten' }],
    ['negative length', { inputs: [good] }, [], { 'inference-header-content-length': '-5' }],
  ];
  for (const [name, json, parts, headers] of cases)
    expect([name, await refused(400, post('tiny', json, parts, headers))]).toEqual([
      name,
      expect.stringMatching(/\.$/),
    ]);
  await refused(501, post('tiny', { inputs: [x({ parameters: { shared_memory_region: 'a' } })] }));
  await refused(
    501,
    post('tiny', { inputs: [good], outputs: [{ name: 'scores', parameters: { classification: 2 } }] }),
  );
  await refused(413, post('tiny', new Uint8Array(2 << 20)));
});

test('a deadline that has passed is 503, and parameters of the schedule are taken', async () => {
  const inputs = [{ name: 'feature', shape: [1, 1], datatype: 'FP32', data: [0.001] }];
  const busy = [post('slow@feature', { inputs }), post('slow@feature', { inputs })];
  const late = await refused(
    503,
    post('slow@feature', { inputs, parameters: { timeout: 1000, priority: 7 } }),
  );
  expect(late).toMatch(/deadline/i);
  for (const { response } of await Promise.all(busy)) expect(response.status).toBe(200);
  const parameters = {
    sequence_id: 7,
    sequence_start: true,
    sequence_end: true,
    priority: 0,
    mine: 'ignored',
  };
  expect((await post('tiny', { inputs: [x({ data: numbers() })], parameters })).response.status).toBe(200);
});
