// Several tails for one feature, over HTTP and over a link, and features that are kept: answers equal those of the segments run
// with onnxruntime-node itself.

import { Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeTensor } from '../../codec/cpu/encode.ts';
import { PRESETS, resolveCodec } from '../../codec/params.ts';
import type { TensorInfo } from '../../model/manifest.ts';
import { runChain } from '../../model/node/chain.ts';
import { type Tensor, viewBytes } from '../../tensor.ts';
import { FRAME_TYPE, type Frame, type FrameMeta, INPUT_CUT, MESSAGES_TYPE } from '../../wire/layout.ts';
import { MessageReader, readMessage, writeMessage } from '../../wire/message.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import { taskModel } from '../taskModel.fixture.ts';
import { rawTensor, wave } from '../testModels.fixture.ts';
import { figure, testTails } from '../testTails.fixture.ts';

const model = await taskModel();
const { start, end } = testTails({ models: model.dir });
const tail = await start({ threads: 2 });
afterAll(end);
/** The input, and the features that the segments make of it. */
let x: Float32Array;
let r1: Float32Array;
let p: Float32Array;
/** What every task must answer. */
const wanted: Record<string, Float32Array> = {};

const run = async (names: string[], input: string, shape: number[], data: Float32Array) => {
  const chain = names.map((name) => model.files.get(name)!);
  return Object.values(await runChain(chain, { [input]: new OrtTensor('float32', data, shape) }))[0]!
    .data as Float32Array;
};

beforeAll(async () => {
  x = wave(3 * 256);
  r1 = await run(['s0.onnx'], 'x', [1, 3, 16, 16], x);
  p = await run(['s1.onnx'], 'r1', [1, 4, 8, 8], r1);
  const fileOf = (name: string) => model.manifest.tasks!.find((t) => t.name === name)!.segments[0]!.file;
  wanted.main = await run(['s2.onnx'], 'p', [1, 6, 4, 4], p);
  wanted.kinds = await run([fileOf('kinds')], 'p', [1, 6, 4, 4], p);
  wanted.embedding = await run([fileOf('embedding')], 'p', [1, 6, 4, 4], p);
  wanted.early = await run([fileOf('early')], 'r1', [1, 4, 8, 8], r1);
});

const atCut: [number, () => Frame['tensors']][] = [
  [INPUT_CUT, () => [rawTensor([1, 3, 16, 16], x.slice())]],
  [0, () => [rawTensor([1, 4, 8, 8], r1.slice())]],
  [1, () => [rawTensor([1, 6, 4, 4], p.slice())]],
];

function request(cut: number, meta: FrameMeta, tensors: Frame['tensors']): Uint8Array<ArrayBuffer> {
  return writeFrame({ kind: 'request', modelTag: model.manifest.id.slice(0, 16), cut, meta, tensors });
}

const post = (body: Uint8Array<ArrayBuffer>, accept = `${MESSAGES_TYPE}, ${FRAME_TYPE}`, base = tail) =>
  fetch(`${base.url}/models/tiny/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE, accept },
    body,
  });

/** All reply frames of one POST, with what their messages said. */
async function replies(response: Response): Promise<{ frame: Frame; more: boolean }[]> {
  const body = new Uint8Array(await response.arrayBuffer());
  if (response.headers.get('content-type') === FRAME_TYPE) return [{ frame: readFrame(body), more: false }];
  expect(response.headers.get('content-type')).toBe(MESSAGES_TYPE);
  const reader = new MessageReader();
  const messages = reader.push(body);
  expect(reader.pending).toBe(0);
  return messages.map((m) => ({ frame: readFrame(m.body), more: m.more }));
}

const data = (frame: Frame) => viewBytes('float32', frame.tensors[0]!.payload) as Float32Array;
const difference = (a: Float32Array, b: Float32Array) => {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));
};

/** Every task once, `more` on all but the last, numbers as wanted. */
function check(list: { frame: Frame; more: boolean }[], tasks: string[]): void {
  expect(list.map((r) => r.frame.meta.error)).toEqual(tasks.map(() => undefined));
  expect(list.map((r) => r.frame.meta.task).sort()).toEqual([...tasks].sort());
  expect(list.map((r) => r.more)).toEqual(tasks.map((_, i) => i < tasks.length - 1));
  for (const { frame } of list) {
    expect(frame.modelTag).toBe(model.manifest.id.slice(0, 16));
    expect(difference(data(frame), wanted[String(frame.meta.task)]!)).toBeLessThan(1e-5);
    for (const stage of ['decode', 'queue', 'tail'])
      expect(frame.meta.timings![stage]).toBeGreaterThanOrEqual(0);
  }
}

test('one upload feeds several tasks, whatever cut it was made at and wherever they hang', async () => {
  for (const [cut, tensors] of atCut) {
    const tasks = ['main', 'kinds', 'embedding', ...(cut === 1 ? [] : ['early'])];
    for (const asked of [tasks, tasks.toReversed(), tasks.slice(1), ['embedding']]) {
      check(await replies(await post(request(cut, { tasks: asked }, tensors()))), asked);
    }
  }
});

test('every codec feeds them, and a request that names none is answered as ever', async () => {
  const info: TensorInfo = model.manifest.cuts[1]!.tensors[0]!;
  const tensor: Tensor = { dtype: info.dtype, shape: [1, 6, 4, 4], data: p };
  for (const preset of Object.keys(PRESETS)) {
    const tensors = [encodeTensor(tensor, resolveCodec(preset as keyof typeof PRESETS))];
    const several = await replies(await post(request(1, { tasks: ['kinds', 'main'] }, tensors)));
    const [plain] = await replies(await post(request(1, {}, tensors)));
    expect('task' in plain!.frame.meta).toBe(false);
    const main = several.find((r) => r.frame.meta.task === 'main')!;
    expect(difference(data(main.frame), data(plain!.frame)), preset).toBeLessThan(1e-6);
    expect(difference(data(main.frame), wanted.main!), preset).toBeLessThan(0.5);
  }
});

test('one task failing leaves the others alone; alone it is an error like any other', async () => {
  const [, tensors] = atCut[2]!;
  const list = await replies(await post(request(1, { tasks: ['main', 'broken', 'kinds'] }, tensors())));
  const broken = list.find((r) => r.frame.kind === 'error')!;
  expect(broken.frame.meta).toMatchObject({ task: 'broken', error: { code: 'INFERENCE_FAILED' } });
  expect(list.map((r) => r.more)).toEqual([true, true, false]);
  for (const { frame } of list.filter((r) => r !== broken)) {
    expect(difference(data(frame), wanted[String(frame.meta.task)]!)).toBeLessThan(1e-5);
  }
  const alone = await post(request(1, { tasks: ['broken'] }, tensors()));
  expect(alone.status).toBe(500);
  expect((await replies(alone))[0]!.frame.meta.error!.code).toBe('INFERENCE_FAILED');
});

test('what cannot be answered is refused before anything runs', async () => {
  const [, late] = atCut[2]!;
  const refused = async (meta: FrameMeta, tensors = late(), accept?: string) => {
    const response = await post(request(1, meta, tensors), accept);
    const { error } = (await replies(response))[0]!.frame.meta;
    return `${response.status} ${error?.code} ${error?.message}`;
  };
  expect(await refused({ tasks: ['main', 'pose'] })).toMatch(/^400 REQUEST_INVALID .*main, kinds, broken/);
  expect(await refused({ tasks: ['early'] })).toMatch(/^400 REQUEST_INVALID .*'r1'/);
  expect(await refused({ tasks: ['main', 'kinds'] }, late(), FRAME_TYPE)).toMatch(
    /^400 REQUEST_INVALID .*Accept/,
  );
  for (const tasks of [
    [],
    ['main', 'main'],
    'main',
    [7],
    {},
    null,
    Array.from({ length: 33 }, (_, i) => `t${i}`),
  ]) {
    expect(await refused({ tasks })).toMatch(/^400 FRAME_INVALID .*meta\.tasks/);
  }
  expect(await refused({ keep: 1 })).toMatch(/^400 FRAME_INVALID .*meta\.keep/);
  expect(await refused({ featureId: '../../etc/passwd' })).toMatch(/^400 FRAME_INVALID .*meta\.featureId/);
  expect(await refused({ featureId: 'A'.repeat(22) })).toMatch(/^400 FRAME_INVALID .*no tensors/);
  expect(await refused({ featureId: 'A'.repeat(22) }, [])).toMatch(/^410 FEATURE_GONE /);
});

test('a feature that is kept answers later tasks without an upload, until its time is over', async () => {
  for (const [cut, tensors] of atCut) {
    const [first] = await replies(await post(request(cut, { keep: true }, tensors())));
    const id = first!.frame.meta.featureId as string;
    expect(id).toMatch(/^[\w-]{22}$/);
    for (let again = 0; again < 2; again++) {
      const body = request(cut, { tasks: ['kinds', 'embedding', 'main'], featureId: id, keep: true }, []);
      expect(body.byteLength).toBeLessThan(200);
      const list = await replies(await post(body));
      check(list, ['kinds', 'embedding', 'main']);
      expect(new Set(list.map((r) => r.frame.meta.featureId))).toEqual(new Set([id]));
    }
    const elsewhere = await post(request(cut === 1 ? 0 : 1, { featureId: id }, []));
    expect(elsewhere.status).toBe(410);
  }
  const [unkept] = await replies(await post(request(1, { tasks: ['main'] }, atCut[2]![1]())));
  expect('featureId' in unkept!.frame.meta).toBe(false);

  const short = await start({ features: { ttlMs: 300 } });
  const none = await start({ features: { bytes: 0 } });
  const [kept] = await replies(await post(request(1, { keep: true }, atCut[2]![1]()), undefined, short));
  const featureId = kept!.frame.meta.featureId as string;
  const status = async () => (await post(request(1, { featureId }, []), undefined, short)).status;
  await expect.poll(status, { timeout: 10_000 }).toBe(410);
  const [off] = await replies(await post(request(1, { keep: true }, atCut[2]![1]()), undefined, none));
  expect('featureId' in off!.frame.meta).toBe(false);
});

test('over a link the answers come one by one, between those of other requests', async () => {
  const socket = new WebSocket(`${tail.url.replace('http', 'ws')}/link`, 'isthmus.1');
  socket.binaryType = 'arraybuffer';
  const got = new Map<number, { frame: Frame; more: boolean }[]>();
  socket.onmessage = ({ data: bytes }) => {
    const message = readMessage(new Uint8Array(bytes as ArrayBuffer));
    if (message.type !== 'reply') return;
    const list = got.get(message.id) ?? [];
    got.set(message.id, [...list, { frame: readFrame(message.body), more: message.more }]);
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  socket.send(writeMessage('hello', 0, { body: new TextEncoder().encode('{"version":1}') }));
  const tasks = ['main', 'kinds', 'embedding', 'early'];
  for (let id = 1; id <= 12; id++) {
    const [cut, tensors] = atCut[id % 2]!;
    socket.send(writeMessage('request', id, { body: request(cut, { tasks }, tensors()) }));
  }
  const complete = () => [...got.values()].filter((list) => list.some((r) => !r.more)).length;
  await expect.poll(complete, { timeout: 15_000 }).toBe(12);
  for (const list of got.values()) check(list, tasks);
  socket.close();
});

test('a request with several answers counts once, to its last answer, with all its bytes', async () => {
  const fresh = await start({ metrics: 'public' });
  const count = (line: string) => figure(fresh, line).catch(() => 0);
  const body = request(0, { tasks: ['main', 'kinds', 'early'] }, [rawTensor([1, 4, 8, 8], r1.slice())]);
  const sent = body.byteLength;
  const response = await post(body, undefined, fresh);
  const bytes = (await response.clone().arrayBuffer()).byteLength;
  expect((await replies(response)).length).toBe(3);
  const http = 'requests_total{transport="http",code="ok"}';
  for (let i = 0; !(await count(http)) && i < 200; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await count(http)).toBe(1);
  expect(await count('bytes_total{transport="http",direction="in"}')).toBe(sent);
  expect(await count('bytes_total{transport="http",direction="out"}')).toBe(bytes);
  expect(await count('stage_seconds_count{stage="encode"}')).toBe(3);
});
