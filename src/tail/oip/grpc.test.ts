import { join } from 'node:path';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type ClientDuplexStream, Metadata, type MethodDefinition, status } from '@grpc/grpc-js';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { viewBytes } from '../../tensor.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { testModels, tinyFrame, wave } from '../testModels.fixture.ts';
import { testTails } from '../testTails.fixture.ts';
import type { ProtoRequest, ProtoStreamResponse } from './messages.ts';
import { callOip, failure, oipClient, tinyRequest } from './oipClient.fixture.ts';
import { inferenceService } from './protocol.ts';

const { dir, tiny } = await testModels();
const tails = testTails({ models: dir, grpcPort: 0 });
const tail = await tails.start();
const client = oipClient(tail.grpcPort!);
let want: Float32Array;

beforeAll(async () => {
  const head = await InferenceSession.create(join(dir, 'tiny', 's0.onnx'));
  const rest = await InferenceSession.create(join(dir, 'tiny', 's1.onnx'));
  const { feature } = await head.run({ x: new OrtTensor('float32', wave(384), [2, 3, 8, 8]) });
  want = (await rest.run({ feature: feature! })).scores!.data as Float32Array;
});
afterAll(async () => {
  client.close();
  await tails.end();
});

const floats = (bytes: Uint8Array) => viewBytes('float32', new Uint8Array(bytes)) as Float32Array;

test('health and metadata', async () => {
  expect(await callOip(client, 'ServerLive', {})).toEqual({ live: true });
  expect(await callOip(client, 'ServerReady', {})).toEqual({ ready: true });
  expect(await callOip(client, 'ModelReady', { name: 'tiny' })).toEqual({ ready: true });
  expect(await callOip(client, 'ServerMetadata', {})).toMatchObject({ name: 'isthmus' });
  expect(await callOip(client, 'ModelMetadata', { name: 'tiny@feature' })).toMatchObject({
    name: 'tiny@feature',
    versions: [tiny.id.slice(0, 16)],
    inputs: [{ name: 'feature', datatype: 'FP32', shape: ['-1', '4', '8', '8'] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['-1', '3'] }],
  });
  expect(await failure(callOip(client, 'ModelReady', { name: 'absent' }))).toMatchObject({
    code: status.NOT_FOUND,
  });
});

test('field numbers are those of the published proto', async () => {
  const shape = new BinaryWriter();
  for (const dim of [2, 3, 8, 8]) shape.int64(dim);
  const input = new BinaryWriter();
  input.tag(1, WireType.LengthDelimited).string('x');
  input.tag(2, WireType.LengthDelimited).string('FP32');
  input.tag(3, WireType.LengthDelimited).bytes(shape.finish());
  const request = new BinaryWriter();
  request.tag(1, WireType.LengthDelimited).string('tiny');
  request.tag(3, WireType.LengthDelimited).string('by hand');
  request.tag(5, WireType.LengthDelimited).bytes(input.finish());
  request.tag(7, WireType.LengthDelimited).bytes(new Uint8Array(wave(384).buffer));
  const reply = await new Promise<Uint8Array>((resolve, reject) =>
    client.makeUnaryRequest(
      '/inference.GRPCInferenceService/ModelInfer',
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => new Uint8Array(bytes),
      request.finish(),
      (error, bytes) => (error ? reject(error) : resolve(bytes!)),
    ),
  );
  const fields = new Map<number, Uint8Array>();
  const read = (bytes: Uint8Array) => {
    const reader = new BinaryReader(bytes);
    fields.clear();
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      expect(type).toBe(WireType.LengthDelimited);
      fields.set(field, reader.bytes());
    }
  };
  const text = (field: number) => Buffer.from(fields.get(field)!).toString();
  read(reply);
  expect([text(1), text(2), text(3)]).toEqual(['tiny', tiny.id.slice(0, 16), 'by hand']);
  expect(floats(fields.get(6)!)).toEqual(want);
  read(fields.get(5)!);
  expect([text(1), text(2), [...fields.get(3)!]]).toEqual(['scores', 'FP32', [2, 3]]);
});

test('raw contents answer raw, typed contents answer typed', async () => {
  const raw = await callOip(client, 'ModelInfer', tinyRequest(wave(384), { id: '7' }));
  expect(raw).toMatchObject({ id: '7', outputs: [{ name: 'scores', shape: ['2', '3'], contents: null }] });
  expect(floats(raw.raw_output_contents![0]!)).toEqual(want);
  const typed = await callOip(client, 'ModelInfer', {
    model_name: 'tiny',
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [2, 3, 8, 8], contents: { fp32_contents: [...wave(384)] } },
    ],
  });
  expect(typed.raw_output_contents).toEqual([]);
  expect(Float32Array.from(typed.outputs[0]!.contents!.fp32_contents!)).toEqual(want);
});

test('one frame as UINT8, larger than gRPC takes by itself', async () => {
  const frame = tinyFrame(tiny, { meta: { padding: 'x'.repeat(30_000) } as never });
  const send = (bytes: Uint8Array) =>
    callOip(client, 'ModelInfer', {
      model_name: 'tiny.isthmus',
      inputs: [{ name: 'frame', datatype: 'UINT8', shape: [bytes.length] }],
      raw_input_contents: [bytes],
    });
  const reply = readFrame(new Uint8Array((await send(frame)).raw_output_contents![0]!));
  expect([reply.kind, reply.tensors[0]!.shape]).toEqual(['reply', [1, 3]]);
  // 5 MiB of another feature: refused for what it is, not for its size.
  const large = await failure(send(new Uint8Array(5 << 20)));
  expect(large).toMatchObject({ code: status.INVALID_ARGUMENT });
  expect(await failure(send(new Uint8Array(9 << 20)))).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
});

test('wrong requests have the status that fits, and a sentence', async () => {
  const good = tinyRequest(wave(384));
  const [input] = good.inputs;
  const cases: [string, Partial<ProtoRequest>, status][] = [
    ['model', { model_name: 'absent' }, status.NOT_FOUND],
    ['version', { model_version: '3' }, status.NOT_FOUND],
    ['cut', { model_name: 'tiny@nowhere' }, status.NOT_FOUND],
    ['bytes', { raw_input_contents: [new Uint8Array(5)] }, status.INVALID_ARGUMENT],
    ['entries', { raw_input_contents: [new Uint8Array(5), new Uint8Array(5)] }, status.INVALID_ARGUMENT],
    ['nothing', { raw_input_contents: [] }, status.INVALID_ARGUMENT],
    ['both', { inputs: [{ ...input!, contents: { fp32_contents: [1] } }] }, status.INVALID_ARGUMENT],
    ['datatype', { inputs: [{ ...input!, datatype: 'FP16' }] }, status.INVALID_ARGUMENT],
    ['shape', { inputs: [{ ...input!, shape: ['-1', 3, 8, 8] }] }, status.INVALID_ARGUMENT],
    ['huge', { inputs: [{ ...input!, shape: ['9223372036854775807', 3, 8, 8] }] }, status.INVALID_ARGUMENT],
    ['output', { outputs: [{ name: 'feature' }] }, status.INVALID_ARGUMENT],
    ['reserved', { parameters: { triton_x: { bool_param: true } } }, status.INVALID_ARGUMENT],
    [
      'shm',
      { inputs: [{ ...input!, parameters: { shared_memory_region: { string_param: 'a' } } }] },
      status.UNIMPLEMENTED,
    ],
  ];
  for (const [name, change, code] of cases) {
    const error = await failure(callOip(client, 'ModelInfer', { ...good, ...change }));
    expect([name, error.code, error.details]).toEqual([name, code, expect.stringMatching(/\.$/)]);
  }
});

const slow: ProtoRequest = {
  model_name: 'slow@feature',
  inputs: [{ name: 'feature', datatype: 'FP32', shape: [1, 1], contents: { fp32_contents: [0.001] } }],
};

test('the deadline of the call and its cancellation reach the tail', async () => {
  const busy = callOip(client, 'ModelInfer', slow);
  const late = await failure(callOip(client, 'ModelInfer', slow, { deadline: Date.now() + 60 }));
  expect(late.code).toBe(status.DEADLINE_EXCEEDED);
  const queue = async () =>
    (await (await fetch(`${tail.url}/metrics`)).text()).match(/isthmus_queued_requests (\d+)/)?.[1];
  const given: (() => void)[] = [];
  const waiting = [1, 2, 3].map(() =>
    failure(callOip(client, 'ModelInfer', slow, { started: (cancel) => given.push(cancel) })),
  );
  for (let i = 0; i < 200 && (await queue()) !== '3'; i++) await new Promise((r) => setTimeout(r, 10));
  for (const cancel of given) cancel();
  for (const error of await Promise.all(waiting)) expect(error.code).toBe(status.CANCELLED);
  // What was given up does not run any more.
  for (let i = 0; i < 200 && (await queue()) !== '0'; i++) await new Promise((r) => setTimeout(r, 10));
  expect(await queue()).toBe('0');
  expect((await busy).outputs[0]!.name).toBe('y');
});

test("Triton's stream: answers in the order of the requests, an error does not end it", async () => {
  const { path, requestSerialize, responseDeserialize } =
    inferenceService.ModelStreamInfer as MethodDefinition<ProtoRequest, ProtoStreamResponse>;
  const stream: ClientDuplexStream<ProtoRequest, ProtoStreamResponse> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    new Metadata(),
  );
  const answers: ProtoStreamResponse[] = [];
  const ended = new Promise<void>((resolve, reject) => stream.on('end', resolve).on('error', reject));
  stream.on('data', (answer: ProtoStreamResponse) => answers.push(answer));
  for (let i = 0; i < 40; i++) {
    const wrong = i === 11 ? { model_name: 'absent' } : {};
    const sequence: Partial<ProtoRequest> =
      i % 2
        ? {
            parameters: {
              sequence_id: { int64_param: 9 },
              triton_enable_empty_final_response: { bool_param: true },
            },
          }
        : {};
    stream.write(tinyRequest(wave(384), { id: String(i), ...sequence, ...wrong }));
  }
  stream.end();
  await ended;
  expect(answers.map((a) => a.infer_response!.id)).toEqual(Array.from({ length: 40 }, (_, i) => String(i)));
  for (const [i, { error_message, infer_response }] of answers.entries()) {
    if (i === 11) expect(error_message).toMatch(/absent/);
    else {
      expect(error_message).toBe('');
      expect(floats(infer_response!.raw_output_contents![0]!)).toEqual(want);
    }
  }
  expect(answers[1]!.infer_response!.parameters).toMatchObject({
    triton_final_response: { bool_param: true },
  });
});
