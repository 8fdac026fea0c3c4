// What the backend makes of engines that are busy, late, wrong, forgetful or dying: real servers on real ports that answer
// what misconfigured engines answer.
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Metadata, Server, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { type Tensors, tensorBytes } from '../../tensor.ts';
import { createOipBackend } from '../index.ts';
import { loadServedModel, type ServedModel } from '../models/servedModel.ts';
import type { InferOptions } from '../run/backend.ts';
import { testModels, wave } from '../testModels.fixture.ts';
import type { ProtoRequest, ProtoResponse } from './messages.ts';
import { inferenceService } from './protocol.ts';

let model: ServedModel;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  const { dir } = await testModels();
  model = await loadServedModel(`${dir}/tiny`);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function backend(url: string, more: object = {}) {
  const made = createOipBackend({ url, ...more });
  closing.push(() => made.close());
  const x = (): Tensors => ({ x: { dtype: 'float32', shape: [1, 3, 8, 8], data: wave(192) } });
  return {
    whole: (options: Partial<InferOptions> = {}) => made.infer(model, 0, x(), { id: 'test', ...options }),
  };
}

/** A server that answers whatever it is told to: what real engines do when they are misconfigured. */
async function rest(handler: RequestListener): Promise<string> {
  const server: HttpServer = createServer((request, response) => {
    request.resume().on('end', () => handler(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `oip+http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('REST engines: JSON answers, other forms of errors, answers that do not fit', async () => {
  const good = { name: 'scores', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] };
  const answers: [string, number, unknown, object][] = [
    ['JSON instead of binary', 200, { outputs: [good] }, { outputs: { scores: { shape: [1, 3] } } }],
    ['nulls', 200, { id: null, outputs: [{ ...good, parameters: null }] }, { outputs: { scores: {} } }],
    [
      'FastAPI',
      422,
      { detail: [{ msg: 'no such input' }] },
      { message: expect.stringContaining('no such input') },
    ],
    [
      'Triton',
      400,
      { error: 'unexpected shape' },
      { code: 'INFERENCE_FAILED', message: expect.stringContaining('unexpected shape') },
    ],
    [
      'forgot',
      400,
      {
        error:
          "inference request for sequence 9 to model 'tiny' must specify the START flag on the first request of the sequence",
      },
      { code: 'SEQUENCE_LOST' },
    ],
    ['text', 500, 'oops', { code: 'INFERENCE_FAILED' }],
    ['late', 504, {}, { code: 'DEADLINE_EXCEEDED' }],
    ['no outputs', 200, {}, { code: 'INFERENCE_FAILED' }],
    ['no JSON', 200, '<html>', { code: 'INFERENCE_FAILED' }],
    ['other name', 200, { outputs: [{ ...good, name: 'y' }] }, { code: 'INFERENCE_FAILED' }],
    ['other type', 200, { outputs: [{ ...good, datatype: 'FP64' }] }, { code: 'INFERENCE_FAILED' }],
    ['other shape', 200, { outputs: [{ ...good, shape: [3] }] }, { code: 'INFERENCE_FAILED' }],
    ['other batch', 200, { outputs: [{ ...good, shape: [2, 3] }] }, { code: 'INFERENCE_FAILED' }],
    ['too few', 200, { outputs: [{ ...good, data: [1] }] }, { code: 'INFERENCE_FAILED' }],
    [
      'missing bytes',
      200,
      { outputs: [{ ...good, data: null, parameters: { binary_data_size: 12 } }] },
      { code: 'INFERENCE_FAILED' },
    ],
    ['odd shape', 200, { outputs: [{ ...good, shape: ['1', 3] }] }, { code: 'INFERENCE_FAILED' }],
  ];
  let at = 0;
  const types: (string | undefined)[] = [];
  const url = await rest((request, response) => {
    const [, code, body] = answers[at]!;
    types.push(request.headers['content-type']);
    response.writeHead(code).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  const { whole } = backend(url);
  const sequence = { id: '9', start: false, end: false };
  for (const [i, [name, , , want]] of answers.entries()) {
    at = i;
    const got: unknown = await whole({ sequence }).catch((error: unknown) => error);
    expect({ name, got }).toMatchObject({ name, got: want });
  }
  expect(new Set(types)).toEqual(new Set(['application/octet-stream']));
});

test('a busy REST engine is asked again; one that dies while it works is not', async () => {
  let asked = 0;
  const answer = { outputs: [{ name: 'scores', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] };
  const busy = backend(
    await rest((_request, response) => {
      if (++asked < 3) response.writeHead(503).end('{"error": "queue is full"}');
      else response.end(JSON.stringify(answer));
    }),
  );
  expect((await busy.whole()).outputs.scores!.data).toEqual(Float32Array.of(1, 2, 3));
  expect(asked).toBe(3);

  let died = 0;
  const dying = backend(
    await rest((request) => {
      died++;
      request.socket.destroy();
    }),
  );
  await expect(dying.whole()).rejects.toMatchObject({ code: 'OFFLINE' });
  await expect(dying.whole({ sequence: { id: 'a', start: true, end: false } })).rejects.toMatchObject({
    code: 'SEQUENCE_LOST',
  });
  expect(died).toBe(2);
});

test('gRPC engines: typed contents, busy, forgetful, dying; sequences and tokens arrive', async () => {
  type Handler = (request: ProtoRequest, metadata: Metadata, callback: sendUnaryData<ProtoResponse>) => void;
  let handler: Handler = () => undefined;
  const server = new Server();
  server.addService(
    { ModelInfer: inferenceService.ModelInfer! },
    {
      ModelInfer: (
        call: { request: ProtoRequest; metadata: Metadata },
        callback: sendUnaryData<ProtoResponse>,
      ) => handler(call.request, call.metadata, callback),
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (e, p) =>
      e ? reject(e) : resolve(p),
    ),
  );
  closing.push(() => server.forceShutdown());
  const { whole } = backend(`oip+grpc://127.0.0.1:${port}`, { token: 'secret' });
  const output = { name: 'scores', datatype: 'FP32', shape: [1, 3] };
  const answer = { model_name: 'tiny', outputs: [{ ...output, contents: { fp32_contents: [1, 2, 3] } }] };

  let seen: [ProtoRequest, Metadata] | undefined;
  handler = (request, metadata, callback) => {
    seen = [request, metadata];
    callback(null, answer);
  };
  const sequence = { id: '42', start: true, end: false };
  expect((await whole({ sequence })).outputs.scores!.data).toEqual(Float32Array.of(1, 2, 3));
  const [request, metadata] = seen!;
  expect(request.parameters).toMatchObject({
    sequence_id: { int64_param: '42' },
    sequence_start: { bool_param: true },
    sequence_end: { bool_param: false },
  });
  expect(metadata.get('authorization')).toEqual(['Bearer secret']);
  expect(metadata.get('isthmus-sequence')).toEqual(['42']);
  expect(new Uint8Array(request.raw_input_contents![0]!)).toEqual(
    tensorBytes({ dtype: 'float32', shape: [192], data: wave(192) }),
  );

  let asked = 0;
  handler = (_request, _metadata, callback) => {
    if (++asked < 3) callback({ code: status.UNAVAILABLE, details: 'queue is full' });
    else callback(null, answer);
  };
  await whole();
  expect(asked).toBe(3);
  handler = (_request, _metadata, callback) =>
    callback({
      code: status.INVALID_ARGUMENT,
      details: "inference request for sequence 42 to model 'tiny' must specify the START flag",
    });
  await expect(whole({ sequence: { ...sequence, start: false } })).rejects.toMatchObject({
    code: 'SEQUENCE_LOST',
  });
  await expect(whole()).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
  handler = (_request, _metadata, callback) =>
    callback(null, { model_name: 'tiny', outputs: [{ ...output, shape: [1, 4] }] });
  await expect(whole()).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringContaining('another'),
  });
  let died = 0;
  handler = () => {
    died++;
    server.forceShutdown();
  };
  await expect(whole()).rejects.toMatchObject({ name: 'IsthmusError' });
  expect(died).toBe(1);
});
