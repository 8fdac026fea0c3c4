// What requests may cost: memory held over all of them, and the size of a refusal. The routes are driven without a server.
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { TENSOR_FLAGS } from '../../codec/params.ts';
import { FRAME_TYPE } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { TailContext, TailEnv } from '../context.ts';
import { createApp } from '../http/app.ts';
import { replyError } from '../http/errorReply.ts';
import { findModel } from '../http/modelRoutes.ts';
import { ByteBudget } from '../http/readBody.ts';
import { createFeatureCache } from '../infer/featureCache.ts';
import { Links } from '../link/links.ts';
import { loadRegistry } from '../models/modelStore.ts';
import { openGate } from '../operate/gate.ts';
import { noMetrics } from '../operate/metrics.ts';
import { rawTensor, testModels, tinyFrame } from '../testModels.fixture.ts';
import type { TailBackend } from './backend.ts';
import { createThreads } from './threads.ts';

const refusal = async (response: Response) =>
  readFrame(new Uint8Array(await response.arrayBuffer())).meta.error!;

test('small frames that unpack to much are counted while they wait, and refused when it is too much', async () => {
  const { dir, tiny: model } = await testModels();
  const registry = await loadRegistry(dir);
  const bodies = new ByteBudget(3000);
  let finish = () => {};
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const scores = { dtype: 'float32', shape: [1, 3], data: new Float32Array(3) } as const;
  const backend: TailBackend = {
    infer: async () => {
      await held;
      return { outputs: { scores }, timings: { queue: 0, tail: 0 } };
    },
    close: () => Promise.resolve(),
  };
  const threads = createThreads({ threads: 1 });
  const limits = { frameBytes: 1 << 20, pictureBytes: 1, picturePixels: 1 };
  const log = { info() {}, warn() {}, error() {} };
  const app = createApp({
    registry,
    backend,
    threads,
    limits,
    bodies,
    features: createFeatureCache(),
    log,
    gate: openGate,
    metrics: noMetrics,
    stopping: false,
    inFlight: 0,
    links: new Links(),
  });
  const constant = {
    ...rawTensor([1, 4, 8, 8], new Float32Array(0)),
    family: 'slicer' as const,
    flags: TENSOR_FLAGS.CONST,
    params: new Uint8Array(4),
  };
  const body = tinyFrame(model, { tensors: [constant] });
  expect(body.byteLength).toBeLessThan(100);
  const send = () =>
    app.request('/models/tiny/infer', { method: 'POST', headers: { 'content-type': FRAME_TYPE }, body });
  const waiting = [send(), send()]; // 1024 bytes each once unpacked
  while (bodies.held < 2 * 1024) await new Promise((resolve) => setTimeout(resolve, 1));
  const third = await send();
  expect([third.status, (await refusal(third)).code]).toEqual([503, 'OVERLOADED']);
  finish();
  expect((await Promise.all(waiting)).map((r) => r.status)).toEqual([200, 200]);
  expect(bodies.held).toBe(0);
});

test('a refusal that lists a thousand names still fits into a frame', async () => {
  const { dir } = await testModels();
  const one = (await loadRegistry(dir)).models.get('tiny')!;
  const models = new Map(Array.from({ length: 1500 }, (_, i) => [`${'long-name-'.repeat(6)}${i}`, one]));
  const app = new Hono<TailEnv>();
  app.onError((thrown, c) => replyError(c, thrown, { info() {}, warn() {}, error() {} }));
  app.post('/', (c) => {
    c.set('frameTag', '0'.repeat(16));
    findModel({ registry: { models }, gate: openGate } as unknown as TailContext, 'none');
    return c.body(null);
  });
  const response = await app.request('/', { method: 'POST' });
  expect(response.status).toBe(404);
  const { code, message } = await refusal(response);
  expect(code).toBe('MODEL_NOT_FOUND');
  expect(message.length).toBeGreaterThan(1000);
});
