// Tasks and kept features through a session, over fetch and over links, against the real tail.
import { Tensor as OrtTensor } from 'onnxruntime-node';
import { beforeAll, expect, test } from 'vitest';
import { decodeImage } from '../head/node/nodeImage.ts';
import { preprocessImage } from '../image/preprocess.ts';
import { connect } from '../index.node.ts';
import { runChain } from '../model/node/chain.ts';
import { taskModel } from '../tail/taskModel.fixture.ts';
import type { Tensors } from '../tensor.ts';
import type { TaskAnswer } from './resultTypes.ts';
import { served } from './served.fixture.ts';
import { drawnPicture } from './tinyModel.fixture.ts';
import type { ConnectOptions } from './types.ts';

const model = await taskModel();
const { tail, startTail } = await served(model.dir);
const photo = await drawnPicture();
/** What each task must answer. */
const truth: Record<string, Float32Array> = {};
/** Name of each task's only output. */
const OUTPUT = { main: 'logits', kinds: 'kinds', embedding: 'flat', early: 'r2' } as const;

beforeAll(async () => {
  const { data, shape } = preprocessImage(await decodeImage(photo), model.manifest.preprocess!);
  const x = new OrtTensor('float32', data as Float32Array, [...shape]);
  const file = (name: string) => model.manifest.tasks!.find((t) => t.name === name)!.segments[0]!.file;
  for (const [task, chain] of [
    ['main', ['s0.onnx', 's1.onnx', 's2.onnx']],
    ['kinds', ['s0.onnx', 's1.onnx', file('kinds')]],
    ['embedding', ['s0.onnx', 's1.onnx', file('embedding')]],
    ['early', ['s0.onnx', file('early')]],
  ] as const) {
    const segments = chain.map((name) => model.files.get(name)!);
    truth[task] = (await runChain(segments, { x }))[OUTPUT[task]]!.data as Float32Array;
  }
});

const open = (options: ConnectOptions = {}, to = tail) =>
  connect(`${to.url}/models/tiny`, { mode: 'only-split', codec: 'raw', ...options });

function right(task: string, outputs: Tensors | undefined, tolerance = 1e-5): void {
  const found = outputs![OUTPUT[task as keyof typeof OUTPUT]]!.data as Float32Array;
  expect(found.length).toBe(truth[task]!.length);
  expect(Math.max(...found.map((v, i) => Math.abs(v - truth[task]![i]!)))).toBeLessThan(tolerance);
}

test.each(['fetch', 'websocket', 'auto'] as const)('one run, several answers, over %s', async (transport) => {
  await using session = await open({ transport });
  const told: TaskAnswer[] = [];
  const tasks = ['embedding', 'main', 'kinds', 'early'];
  const result = await session.run(photo, { cut: 'r1', tasks, onTask: (answer) => told.push(answer) });
  expect(Object.keys(result.tasks!).sort()).toEqual([...tasks].sort());
  expect(told.map((t) => t.task)).toEqual(Object.keys(result.tasks!)); // in the order in which they came
  for (const task of tasks) right(task, result.tasks![task]!.outputs);
  right('main', result.outputs);
  expect(result.labels!.map((l) => l.label).sort()).toEqual(['ant', 'bee', 'cat', 'dog', 'elk']);
  expect(result.tasks!.kinds!.labels!.map((l) => l.label).sort()).toEqual(['lake', 'land', 'sea', 'sky']);
  expect('labels' in result.tasks!.embedding!).toBe(false);
  expect('failedTasks' in result || 'feature' in result).toBe(false);
  const plain = await session.run(photo, { cut: 'r1' });
  expect('tasks' in plain).toBe(false);
  expect([...(plain.outputs.logits!.data as Float32Array)]).toEqual([
    ...(result.outputs.logits!.data as Float32Array),
  ]);
});

test('the default cut is one that every task can be fed from; the picture itself feeds them too', async () => {
  await using session = await open();
  const early = await session.run(photo, { tasks: ['early'] });
  expect(early.report.cut).toBe('r1');
  expect(early.outputs).toEqual({});
  right('early', early.tasks!.early!.outputs);
  await using remote = await open({ mode: 'only-remote', upload: { format: 'webp', quality: 1 } });
  const { tasks } = await remote.run(photo, { tasks: ['early', 'kinds', 'main'] });
  for (const task of ['early', 'kinds', 'main']) right(task, tasks![task]!.outputs, 0.2);
});

test('a task that fails is named beside those that do not; when all fail, the run does', async () => {
  await using session = await open({ transport: 'fetch' });
  const { tasks, failedTasks } = await session.run(photo, { tasks: ['broken', 'main'] });
  expect(Object.keys(tasks!)).toEqual(['main']);
  expect(failedTasks!.broken).toMatchObject({ name: 'IsthmusError', code: 'INFERENCE_FAILED' });
  await expect(session.run(photo, { tasks: ['broken'] })).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
});

test('mistakes are named before anything runs', async () => {
  await using session = await open();
  for (const [options, code] of [
    [{ tasks: ['pose'] }, 'OPTION_INVALID'],
    [{ tasks: [] }, 'OPTION_INVALID'],
    [{ tasks: ['early'], cut: 'p' }, 'CUT_INVALID'],
    [{ tasks: ['kinds'], mode: 'only-local' }, 'OPTION_INVALID'],
  ] as const) {
    await expect(session.run(photo, options), JSON.stringify(options)).rejects.toMatchObject({ code });
  }
  const oops = session.run(photo, {
    tasks: ['main', 'kinds'],
    onTask: () => {
      throw new RangeError('of the page');
    },
  });
  await expect(oops).rejects.toThrow(/of the page/);
});

test('without the tail main is answered here, and the others say why not', async () => {
  const own = await startTail();
  await using session = await open({ mode: 'prefer-split', transport: 'fetch' }, own);
  await session.run(photo, { mode: 'only-local' }); // all segments are here now
  await own.close();
  const { report, tasks, failedTasks } = await session.run(photo, { tasks: ['kinds', 'main'] });
  expect(report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
  right('main', tasks!.main!.outputs);
  expect(failedTasks!.kinds!.code).toBe('OFFLINE');
  await expect(session.run(photo, { tasks: ['kinds'] })).rejects.toMatchObject({ code: 'OFFLINE' });
});

test.each(['fetch', 'websocket'] as const)(
  'a feature that is kept is asked again without an upload, over %s',
  async (transport) => {
    await using session = await open({ transport });
    const { feature, report } = await session.run(photo, { keep: true, cut: 'p' });
    const up = report.bytes.up;
    for (let i = 0; i < 2; i++) {
      const later = await feature!.run({ tasks: ['kinds', 'embedding'] });
      for (const task of ['kinds', 'embedding']) right(task, later.tasks![task]!.outputs);
      expect(later.report).toMatchObject({ ran: 'split', cut: 'p', model: { id: model.manifest.id } });
      expect(later.report.bytes.up).toBeLessThan(200);
      expect(later.report.bytes.up).toBeLessThan(up);
    }
    const plain = await feature!.run();
    right('main', plain.outputs);
    expect(plain.feature!.id).toBe(feature!.id);
    await expect(feature!.run({ tasks: ['pose'] })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  },
);

test('a feature that the tail has forgotten is sent again, and kept again', async () => {
  const forgetful = await startTail({ features: { ttlMs: 1500 } });
  await using session = await open({ transport: 'websocket' }, forgetful);
  const { feature, report } = await session.run(photo, { keep: true });
  const name = feature!.id;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const again = await feature!.run({ tasks: ['kinds', 'main'] });
  for (const task of ['kinds', 'main']) right(task, again.tasks![task]!.outputs);
  expect(feature!.id).not.toBe(name);
  expect(again.report.bytes.up).toBeGreaterThanOrEqual(report.bytes.up);
  expect((await feature!.run({ tasks: ['kinds'] })).report.bytes.up).toBeLessThan(report.bytes.up);

  const closed = await startTail({ features: { bytes: 0 } });
  await using other = await open({ transport: 'fetch' }, closed);
  const unkept = await other.run(photo, { keep: true });
  right('main', unkept.outputs);
  expect('feature' in unkept).toBe(false);
});
