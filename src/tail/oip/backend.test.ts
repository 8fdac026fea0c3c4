import { createServer } from 'node:net';
import { afterAll, afterEach, expect, test } from 'vitest';
import type { Tensors } from '../../tensor.ts';
import { FRAME_TYPE } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { createOipBackend, type TailServer } from '../index.ts';
import { loadServedModel } from '../models/servedModel.ts';
import type { InferOptions } from '../run/backend.ts';
import { testModels, tinyFrame, wave } from '../testModels.fixture.ts';
import { testTails } from '../testTails.fixture.ts';
import { addressOf, serveProcess } from './serveProcess.fixture.ts';

const { dir, tiny } = await testModels();
const model = await loadServedModel(`${dir}/tiny`);
const slow = await loadServedModel(`${dir}/slow`);
const { start, end } = testTails({ models: dir });
const engine = await start({ grpcPort: 0 });
afterAll(end);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const urls = (tail: TailServer) => [
  `oip+grpc://127.0.0.1:${tail.grpcPort}`,
  `oip+http://127.0.0.1:${tail.port}`,
];

function backend(url: string, more: object = {}) {
  const made = createOipBackend({ url, ...more });
  closing.push(() => made.close());
  const x = (batch = 1): Tensors => ({
    x: { dtype: 'float32', shape: [batch, 3, 8, 8], data: wave(192 * batch) },
  });
  return {
    whole: (options: Partial<InferOptions> = {}, batch = 1) =>
      made.infer(model, 0, x(batch), { id: 'test', ...options }),
    slow: (options: Partial<InferOptions> = {}) => {
      const feature = { dtype: 'float32' as const, shape: [1, 1], data: Float32Array.of(0.001) };
      return made.infer(slow, 1, { feature }, { id: 'test', ...options });
    },
  };
}

test('tail to tail, over gRPC and REST: whole model, a cut, a batch, all bits as from the engine itself', async () => {
  const ask = async ({ url }: TailServer, frame: Uint8Array<ArrayBuffer>) => {
    const response = await fetch(`${url}/models/tiny/infer`, {
      method: 'POST',
      headers: { 'content-type': FRAME_TYPE },
      body: frame,
    });
    const reply = readFrame(new Uint8Array(await response.arrayBuffer()));
    expect(reply.meta.error).toBeUndefined();
    return reply.tensors[0]!.payload;
  };
  const want = await ask(engine, tinyFrame(tiny));
  const dense = async ({ url }: TailServer) => {
    const body = new Uint8Array(wave(192 * 3).buffer as ArrayBuffer);
    const headers = { 'inference-header-content-length': '0' };
    const response = await fetch(`${url}/v2/models/tiny/infer`, { method: 'POST', headers, body });
    const size = Number(response.headers.get('inference-header-content-length'));
    return new Uint8Array(await response.arrayBuffer()).subarray(size);
  };
  const three = await dense(engine);
  expect(three.length).toBe(36);
  for (const url of urls(engine)) {
    const made = createOipBackend({ url });
    const front = await start({ backend: made });
    closing.push(() => front.close());
    expect([url, await ask(front, tinyFrame(tiny))]).toEqual([url, want]);
    expect([url, await dense(front)]).toEqual([url, three]);
  }
});

test('a process with --backend answers what the engine answers', async () => {
  const request = JSON.stringify({
    inputs: [{ name: 'x', shape: [1, 3, 8, 8], datatype: 'FP32', data: [...wave(192)] }],
  });
  const ask = async (url: string) => {
    const response = await fetch(`${url}/v2/models/tiny/infer`, { method: 'POST', body: request });
    return (await response.json()) as { outputs: unknown };
  };
  const child = serveProcess(dir, '--port', '0', '--quiet', '--backend', urls(engine)[0]!);
  closing.push(() => child.kill('SIGKILL'));
  const answer = await ask(await addressOf(child));
  expect(answer).toEqual(await ask(engine.url));
  expect(answer.outputs).toHaveLength(1);
});

test('deadlines and cancellation go through to the engine', async () => {
  for (const url of urls(engine)) {
    const { slow: run } = backend(url);
    await run();
    const busy = [run(), run()];
    await expect(run({ deadline: Date.now() + 50 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const controller = new AbortController();
    const cancelled = [1, 2, 3].map(() => run({ signal: controller.signal }));
    setTimeout(() => controller.abort(), 20);
    for (const call of cancelled) await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    await Promise.all(busy);
    const queued = async () =>
      (await (await fetch(`${engine.url}/metrics`)).text()).match(/isthmus_queued_requests (\d+)/)?.[1];
    for (let i = 0; i < 200 && (await queued()) !== '0'; i++) await new Promise((r) => setTimeout(r, 10));
    expect(await queued()).toBe('0');
    await expect(run({ deadline: Date.now() - 1 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await expect(run({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  }
});

test('an engine that is away is asked again, then named', async () => {
  const other = await start({ grpcPort: 0 });
  const [grpc, http] = urls(other);
  await other.close();
  for (const url of [grpc!, http!]) {
    const { whole } = backend(url);
    const sequence = { id: '5', start: false, end: false };
    await expect(whole()).rejects.toMatchObject({
      code: 'OFFLINE',
      message: expect.stringContaining('engine'),
    });
    await expect(whole({ sequence })).rejects.toMatchObject({ code: 'SEQUENCE_LOST' });
  }
  // It comes back on the same port while a request waits for its next attempt.
  const { whole } = backend(http!);
  const first = whole();
  const again = await start({ port: other.port });
  closing.push(() => again.close());
  const got = await first.catch(() => whole());
  expect(got.outputs.scores!.shape).toEqual([1, 3]);
});

test('the whole model goes by its own name, a cut by the template', async () => {
  const names = backend(urls(engine)[0]!, { model: '{model}_{index}' });
  expect((await names.whole({}, 2)).outputs.scores!.shape).toEqual([2, 3]);
  await expect(names.slow()).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringContaining('slow_0'),
  });
});

test('an engine that does not answer gets a bounded number of requests, the rest is told to come back', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  closing.push(() => silent.close());
  const { port } = silent.address() as { port: number };
  const { slow: ask } = backend(`oip+grpc://127.0.0.1:${port}`);
  const gone = new AbortController();
  const many = Array.from({ length: 1024 }, () => ask({ signal: gone.signal }).catch(() => undefined));
  await expect(ask()).rejects.toMatchObject({ code: 'OVERLOADED', retryAfter: 1 });
  gone.abort();
  await Promise.all(many);
  await expect(ask({ deadline: Date.now() + 100 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});
