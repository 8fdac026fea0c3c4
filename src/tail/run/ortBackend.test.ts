// The pool with real onnxruntime-node in real threads.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Tensors } from '../../tensor.ts';
import { loadRegistry } from '../models/modelStore.ts';
import type { Registry } from '../models/registry.ts';
import { addTiny, testModels, wave } from '../testModels.fixture.ts';
import type { TailBackend } from './backend.ts';
import { createOrtBackend } from './ortBackend.ts';
import { createThreads } from './threads.ts';
import type { ThreadsOptions } from './threadsOptions.ts';

let dir: string;
let registry: Registry;
const open: TailBackend[] = [];
const backendOf = (options: ThreadsOptions) => {
  const backend = createOrtBackend(createThreads(options));
  open.push(backend);
  return backend;
};

beforeAll(async () => {
  ({ dir } = await testModels());
  await addTiny(dir, 'changed');
  registry = await loadRegistry(dir);
});
afterAll(async () => {
  await Promise.all(open.map((b) => b.close()));
});

const feature = (): Tensors => ({ feature: { dtype: 'float32', shape: [1, 4, 8, 8], data: wave(256) } });
const wait = (): Tensors => ({ feature: { dtype: 'float32', shape: [1, 1], data: Float32Array.of(0.001) } });
const model = (name: string) => registry.models.get(name)!;

test('the tail from a cut and from the input equals the segments run one by one', async () => {
  const backend = backendOf({ threads: 1 });
  const tail = await InferenceSession.create(model('tiny').path(1));
  const head = await InferenceSession.create(model('tiny').path(0));
  const want = await tail.run({ feature: new OrtTensor('float32', wave(256), [1, 4, 8, 8]) });
  const got = await backend.infer(model('tiny'), 1, feature(), { id: 'a' });
  expect(got.outputs.scores).toEqual({ dtype: 'float32', shape: [1, 3], data: want.scores!.data });
  expect(got.timings.tail).toBeGreaterThan(0);

  const whole = await head.run({ x: new OrtTensor('float32', wave(192), [1, 3, 8, 8]) });
  const chained = await tail.run({ feature: whole.feature! });
  const x: Tensors = { x: { dtype: 'float32', shape: [1, 3, 8, 8], data: wave(192) } };
  const both = await backend.infer(model('tiny'), 0, x, { id: 'b' });
  expect(both.outputs.scores!.data).toEqual(chained.scores!.data);
});

test('views of one buffer move together and keep their offsets', async () => {
  const backend = backendOf({ threads: 1 });
  const body = new ArrayBuffer(8 + 1024);
  const data = new Float32Array(body, 8, 256);
  data.set(wave(256));
  const tensors: Tensors = { feature: { dtype: 'float32', shape: [1, 4, 8, 8], data } };
  const moved = await backend.infer(model('tiny'), 1, tensors, { id: 'c' });
  const fresh = await backend.infer(model('tiny'), 1, feature(), { id: 'd' });
  expect(moved.outputs.scores!.data).toEqual(fresh.outputs.scores!.data);
  expect(body.byteLength).toBe(0);
});

test('more than the queue holds is refused, the rest is answered', async () => {
  const backend = backendOf({ threads: 1, maxQueue: 2 });
  const jobs = Array.from({ length: 5 }, (_, i) =>
    backend.infer(model('slow'), 1, wait(), { id: String(i) }),
  );
  const settled = await Promise.allSettled(jobs);
  expect(settled.map((s) => s.status)).toEqual([
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
    'rejected',
  ]);
  expect((settled[4] as PromiseRejectedResult).reason).toMatchObject({ code: 'OVERLOADED' });
});

test('deadlines and signals end waiting work; work that runs is let go at once', async () => {
  const backend = backendOf({ threads: 1 });
  const running = backend.infer(model('slow'), 1, wait(), { id: 'r' });
  const late = backend.infer(model('slow'), 1, wait(), { id: 'l', deadline: Date.now() + 5 });
  const controller = new AbortController();
  const aborted = backend.infer(model('slow'), 1, wait(), { id: 'x', signal: controller.signal });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
  await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await running;

  const second = new AbortController();
  const started = performance.now();
  const cut = backend.infer(model('slow'), 0, { x: wait().feature! }, { id: 'y', signal: second.signal });
  setTimeout(() => second.abort(), 10);
  await expect(cut).rejects.toMatchObject({ name: 'AbortError' });
  expect(performance.now() - started).toBeLessThan(200);
  await expect(
    backend.infer(model('tiny'), 1, feature(), { id: 'p', deadline: Date.now() - 1 }),
  ).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await backend.infer(model('tiny'), 1, feature(), { id: 'z' });
});

const DYING = `require('node:worker_threads').parentPort.once('message', () => { throw new Error('out of luck'); })`;

test('a thread that dies fails its own job only and is replaced', async () => {
  const started: Worker[] = [];
  const backend = backendOf({
    threads: 1,
    startWorker: (settings) => {
      // Terminating a thread inside onnxruntime would end this process too, so the first thread dies of its own.
      const worker =
        started.length === 0
          ? new Worker(DYING, { eval: true })
          : new Worker(new URL('./ortWorker.ts', import.meta.url), { workerData: settings });
      started.push(worker);
      return worker;
    },
  });
  const doomed = backend.infer(model('slow'), 1, wait(), { id: 'doomed' });
  const next = backend.infer(model('tiny'), 1, feature(), { id: 'next' });
  await expect(doomed).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
  expect((await next).outputs.scores!.data.length).toBe(3);
  expect(started.length).toBe(2);
});

test('a segment that changed on disk after the start is not run', async () => {
  const backend = backendOf({ threads: 1 });
  await writeFile(join(dir, 'changed', 's1.onnx'), 'something else');
  await expect(backend.infer(model('changed'), 1, feature(), { id: 'e' })).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringContaining('changed since'),
  });
  await backend.infer(model('slow'), 1, wait(), { id: 'f' });
});

test('close() ends what waits and refuses what comes', async () => {
  const backend = createOrtBackend(createThreads({ threads: 1 }));
  const jobs = [1, 2, 3].map((i) => backend.infer(model('slow'), 1, wait(), { id: String(i) }));
  const settled = Promise.allSettled(jobs);
  await backend.close();
  for (const job of await settled)
    expect(job).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } });
  await expect(backend.infer(model('tiny'), 1, feature(), { id: 'n' })).rejects.toMatchObject({
    code: 'CLOSED',
  });
});
