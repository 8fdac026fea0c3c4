// The Open Inference Protocol over HTTP, bytes on real sockets: answers against the published schema and against
// onnxruntime, and one raw case for everything that other clients do differently than one would think.
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import * as v from 'valibot';
import { afterAll, expect, test } from 'vitest';
import { type Manifest, manifestId } from '../../model/manifest.ts';
import { viewBytes } from '../../tensor.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { testModels, tinyFrame, wave } from '../testModels.fixture.ts';
import { testTails } from '../testTails.fixture.ts';
import {
  inferenceErrorResponse,
  inferenceResponse,
  metadataModelResponse,
  metadataServerResponse,
} from './oipSchema.fixture.ts';
import { bytesOf, numbers, postOip, refused, x } from './restClient.fixture.ts';

const { dir, tiny } = await testModels();
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

const get = (path: string) => fetch(`${tail.url}/v2${path}`);

type Rest = Parameters<typeof postOip> extends [string, ...infer Rest] ? Rest : never;
const post = (...[model, json, parts, headers]: Rest) => postOip(tail.url, model, json, parts, headers);

test('health and metadata follow the schema', async () => {
  for (const path of ['/health/live', '/health/ready', '/models/tiny/ready'])
    expect((await get(path)).status).toBe(200);
  for (const path of ['', '/']) v.parse(metadataServerResponse, await (await get(path)).json());
  const model = v.parse(metadataModelResponse, await (await get('/models/tiny')).json());
  expect(model.inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: [-1, 3, 8, 8] }]);
  expect(model.outputs).toEqual([{ name: 'scores', datatype: 'FP32', shape: [-1, 3] }]);
  const [version] = model.versions!;
  expect(tiny.id.startsWith(version!)).toBe(true);
  const same = await (await get(`/models/tiny/versions/${version}`)).json();
  expect(same).toEqual(model);
  expect((await get(`/models/tiny/versions/${version}/ready`)).status).toBe(200);
  const cut = v.parse(metadataModelResponse, await (await get('/models/tiny%40feature')).json());
  expect(cut.inputs).toEqual([{ name: 'feature', datatype: 'FP32', shape: [-1, 4, 8, 8] }]);
  const frame = v.parse(metadataModelResponse, await (await get('/models/tiny.isthmus')).json());
  expect(frame.inputs).toEqual([{ name: 'frame', datatype: 'UINT8', shape: [-1] }]);
  expect(frame.outputs!.map((t) => t.name)).toEqual(['reply', 'scores']);
});

test('what is not there is 404, a wrong method 405, both with {"error": text}', async () => {
  const names = [
    '/models/absent',
    '/models/tiny/versions/2',
    '/models/tiny%40nowhere',
    '/nothing',
    '/models/absent/ready',
  ];
  for (const path of names) {
    const response = await get(path);
    expect([path, response.status]).toEqual([path, 404]);
    v.parse(inferenceErrorResponse, await response.json());
  }
  const wrong = await get('/models/tiny/infer');
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
  v.parse(inferenceErrorResponse, await wrong.json());
  await refused(404, post('absent', { inputs: [] }));
});

test('JSON numbers, flat and nested, a batch, nulls for what is absent, an id that comes back', async () => {
  const want = [...(await scores(wave(192)))];
  const nested = [
    [0, 1, 2].map((c) =>
      Array.from({ length: 8 }, (_, r) => numbers().slice(c * 64 + r * 8, c * 64 + r * 8 + 8)),
    ),
  ];
  for (const data of [numbers(), nested]) {
    const { response, json } = await post('tiny', { inputs: [x({ data })] });
    expect(response.headers.get('server-timing')).toMatch(/queue;dur=.*tail;dur=.*encode;dur=/);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(v.parse(inferenceResponse, json)).toMatchObject({
      model_name: 'tiny',
      outputs: [{ name: 'scores', shape: [1, 3], datatype: 'FP32', data: want }],
    });
  }
  const nulls = {
    id: null,
    parameters: null,
    outputs: null,
    inputs: [x({ data: numbers(), parameters: null })],
  };
  expect((await post('tiny', nulls)).json.outputs).toMatchObject([{ data: want }]);
  const both = await post('tiny', {
    id: '42',
    inputs: [x({ data: numbers(384) }, 2)],
    outputs: [{ name: 'scores', parameters: null }],
  });
  expect(both.json).toMatchObject({
    id: '42',
    outputs: [{ shape: [2, 3], data: [...(await scores(wave(384), 2))] }],
  });
});

test('binary in and out, in the order of the JSON, keyed by the header and never by the content type', async () => {
  const request = {
    inputs: [x({ parameters: { binary_data_size: 768 } })],
    outputs: [{ name: 'scores', parameters: { binary_data: true } }],
  };
  const want = await scores(wave(192));
  for (const type of [undefined, 'application/octet-stream', 'application/json', 'text/plain']) {
    const headers: Record<string, string> = type ? { 'content-type': type } : {};
    const { response, json, rest: behind } = await post('tiny', request, [bytesOf(wave(192))], headers);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    const answer = v.parse(inferenceResponse, json);
    expect(answer.outputs).toEqual([
      { name: 'scores', shape: [1, 3], datatype: 'FP32', parameters: { binary_data_size: 12 } },
    ]);
    expect(viewBytes('float32', behind)).toEqual(want);
  }
  // JSON in a body that calls itself binary stays JSON.
  const odd = await post('tiny', { inputs: [x({ data: numbers() })] }, [], {
    'content-type': 'application/octet-stream',
  });
  expect(odd.json.outputs).toMatchObject([{ data: [...want] }]);
});

test('binary_data_output asks for all outputs, binary_data of one output counts more', async () => {
  const inputs = [x({ data: numbers() })];
  const all = await post('tiny', { inputs, parameters: { binary_data_output: true } });
  expect(viewBytes('float32', all.rest)).toEqual(await scores(wave(192)));
  const outputs = [{ name: 'scores', parameters: { binary_data: false } }];
  const one = await post('tiny', { inputs, outputs, parameters: { binary_data_output: true } });
  expect(one.rest.length).toBe(0);
  expect(one.json.outputs).toMatchObject([{ data: expect.any(Array) }]);
});

test('a header of 0 is one raw input, its batch found from its size', async () => {
  for (const batch of [1, 3]) {
    const headers = { 'inference-header-content-length': '0' };
    const { json, rest: behind } = await post('tiny', bytesOf(wave(192 * batch)), [], headers);
    expect(json.outputs).toMatchObject([{ shape: [batch, 3], parameters: { binary_data_size: 12 * batch } }]);
    expect(viewBytes('float32', behind)).toEqual(await scores(wave(192 * batch), batch));
  }
  await refused(400, post('tiny', bytesOf(wave(191)), [], { 'inference-header-content-length': '0' }));
});

test('a cut takes its tensors, by name or number', async () => {
  const want = await rest.run({ feature: new OrtTensor('float32', wave(256), [1, 4, 8, 8]) });
  const inputs = [{ name: 'feature', shape: [1, 4, 8, 8], datatype: 'FP32', data: numbers(256) }];
  for (const name of ['tiny@feature', 'tiny@0'])
    expect((await post(name, { inputs })).json.outputs).toMatchObject([
      { data: [...(want.scores!.data as Float32Array)] },
    ]);
});

test('NAME.isthmus takes one frame and gives a reply frame, and decoded outputs where asked', async () => {
  const frame = tinyFrame(tiny);
  const want = await rest.run({ feature: new OrtTensor('float32', wave(256), [1, 4, 8, 8]) });
  const input = {
    name: 'frame',
    shape: [frame.length],
    datatype: 'UINT8',
    parameters: { binary_data_size: frame.length },
  };
  const raw = await post('tiny.isthmus', frame, [], { 'inference-header-content-length': '0' });
  const asked = await post(
    'tiny.isthmus',
    { inputs: [input], outputs: [{ name: 'scores' }, { name: 'reply', parameters: { binary_data: true } }] },
    [frame],
  );
  for (const { rest: behind } of [raw, asked]) {
    const reply = readFrame(new Uint8Array(behind));
    expect(reply.kind).toBe('reply');
    expect(viewBytes('float32', reply.tensors[0]!.payload)).toEqual(want.scores!.data);
  }
  expect(asked.json.outputs).toMatchObject([
    { name: 'scores', data: [...(want.scores!.data as Float32Array)] },
    { name: 'reply' },
  ]);
  const text = await post('tiny.isthmus', { inputs: [{ ...input, parameters: null, data: [...frame] }] });
  expect(text.json.outputs).toMatchObject([{ name: 'reply', datatype: 'UINT8', data: expect.any(Array) }]);
  const broken = new Uint8Array(frame);
  broken[60]! ^= 1;
  await refused(400, post('tiny.isthmus', broken, [], { 'inference-header-content-length': '0' }));
});

test('versions of a model by tag or folder, and frames find theirs by themselves', async () => {
  const { dir, tiny: older } = await testModels();
  await cp(join(dir, 'tiny'), join(dir, 'tiny@2'), { recursive: true });
  const manifest = JSON.parse(await readFile(join(dir, 'tiny@2', 'manifest.json'), 'utf8')) as Manifest;
  const { id: _, ...core } = { ...manifest, outputs: [{ ...manifest.outputs[0]!, shape: [1, 3] }] };
  core.segments.at(-1)!.outputs = core.outputs;
  const id = await manifestId(core);
  await writeFile(join(dir, 'tiny@2', 'manifest.json'), JSON.stringify({ ...core, id }));
  const several = await start({ models: dir });
  const read = async (path: string) =>
    (await (await fetch(`${several.url}/v2/models/tiny${path}`)).json()) as object;
  const tags = [id.slice(0, 16), older.id.slice(0, 16)];
  expect(await read('')).toMatchObject({ versions: tags, outputs: [{ shape: [1, 3] }] });
  expect(await read(`/versions/${tags[1]}`)).toMatchObject({ versions: tags, outputs: [{ shape: [-1, 3] }] });
  expect(await read('/versions/tiny@2')).toMatchObject({ outputs: [{ shape: [1, 3] }] });
  const headers = { 'inference-header-content-length': '0' };
  const { json } = await postOip(several.url, 'tiny.isthmus', tinyFrame(older), [], headers);
  expect(json).toMatchObject({ outputs: [{ name: 'reply' }] });
});
