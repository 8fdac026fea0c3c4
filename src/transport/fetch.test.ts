// The fetch transport and the exchange above it, against real HTTP servers that misbehave in every way we know.
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import type { Manifest } from '../model/manifest.ts';
import type { Frame } from '../wire/layout.ts';
import { FRAME_TYPE, MESSAGES_TYPE } from '../wire/layout.ts';
import { writeMessage } from '../wire/message.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { exchange } from './exchange.ts';
import { fetchTransport } from './fetch.ts';
import { closedPort, localServer } from './localServer.fixture.ts';

const TAG = '0123456789abcdef';
const manifest = {
  name: 'tiny',
  id: TAG.padEnd(64, '0'),
  outputs: [{ name: 'logits', dtype: 'float32', shape: ['N', 2] }],
} as unknown as Manifest;

const logits = (values: number[]): Frame['tensors'][number] => ({
  family: 'raw',
  dtype: 'float32',
  shape: [1, values.length],
  flags: 0,
  params: new Uint8Array(0),
  payload: new Uint8Array(Float32Array.from(values).buffer),
});
const reply = (frame: Partial<Frame> = {}) =>
  writeFrame({
    kind: 'reply',
    modelTag: TAG,
    cut: 0,
    meta: { timings: { decode: 1, queue: 2, tail: 3, encode: 0.5 } },
    tensors: [logits([0.25, 0.75])],
    ...frame,
  });
const request = writeFrame({ kind: 'request', modelTag: TAG, cut: 0, meta: {}, tensors: [] });
const answer = (response: ServerResponse, frame: Uint8Array) =>
  response.writeHead(200, { 'content-type': FRAME_TYPE }).end(frame);

test.each(['with', 'without'])('a signal and close both end a request, %s AbortSignal.any', async (which) => {
  const { any } = AbortSignal;
  if (which === 'without') Object.assign(AbortSignal, { any: undefined });
  try {
    await using server = await localServer(() => new Promise(() => undefined));
    const transport = fetchTransport(`${server.url}/models/tiny`);
    const gone = AbortSignal.abort(new Error('before'));
    await expect(transport.send(request, { signal: gone })).rejects.toThrow('before');
    const stop = new AbortController();
    const stopped = transport.send(request, { signal: stop.signal });
    const closed = transport.send(request, { signal: new AbortController().signal });
    setTimeout(() => stop.abort(new Error('stopped')), 30);
    await expect(stopped).rejects.toThrow('stopped');
    await transport.close();
    await expect(closed).rejects.toMatchObject({ name: 'AbortError' });
  } finally {
    AbortSignal.any = any;
  }
});

test('one frame up and one down on kept connections, with token, timings and bytes', async () => {
  const seen: {
    path: string | undefined;
    type: string | undefined;
    auth: string | undefined;
    body: Buffer;
  }[] = [];
  const sockets = new Set<unknown>();
  await using server = await localServer(async (req, res, body) => {
    sockets.add(req.socket);
    seen.push({ path: req.url, type: req.headers['content-type'], auth: req.headers.authorization, body });
    await new Promise((resolve) => setTimeout(resolve, 30));
    answer(res, reply());
  });
  let asked = 0;
  const transport = fetchTransport(`${server.url}/models/tiny`, () => `secret${++asked}`);
  const first = await exchange(transport, manifest, request);
  for (let i = 0; i < 8; i++) await exchange(transport, manifest, request);
  expect(first.outputs.logits).toEqual({
    dtype: 'float32',
    shape: [1, 2],
    data: Float32Array.of(0.25, 0.75),
  });
  expect(first.timings).toMatchObject({ decode: 1, queue: 2, tail: 3 });
  expect(first.timings.uplink).toBeGreaterThan(15); // 30 ms until the first byte, less the 6.5 the server owns up to
  expect(first.bytesUp).toBe(request.byteLength);
  expect(first.bytesDown).toBe(reply().byteLength);
  expect(first.resent).toBe(false);
  expect(seen.slice(0, 2).map((s) => s.auth)).toEqual(['Bearer secret1', 'Bearer secret2']);
  expect(seen[0]).toMatchObject({ path: '/models/tiny/infer', type: FRAME_TYPE });
  expect(readFrame(new Uint8Array(seen[0]!.body)).modelTag).toBe(TAG);
  // Node's fetch opens a second connection when the first has not quite finished; it never needs a third.
  expect(sockets.size).toBeLessThanOrEqual(2);
});

test('errors of the tail keep their code, as JSON and as a frame', async () => {
  const error = { code: 'MODEL_MISMATCH', message: 'The frame is for another model.' };
  await using server = await localServer((req, res) => {
    if (req.url?.includes('json'))
      res.writeHead(409, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    else answer(res, reply({ kind: 'error', meta: { error }, tensors: [] }));
  });
  for (const way of ['json', 'frame']) {
    const failing = exchange(fetchTransport(`${server.url}/${way}`), manifest, request);
    await expect(failing).rejects.toMatchObject({ name: 'IsthmusError', ...error });
  }
});

test('what is no tail is named so: pages, foreign JSON, gateways, nobody', async () => {
  await using server = await localServer((req, res) => {
    const [status, type] = (req.url ?? '').split('/').slice(1);
    res.writeHead(Number(status), { 'content-type': `${type}/${type === 'text' ? 'html' : 'json'}` });
    res.end(type === 'text' ? '<!doctype html><title>Hello</title>' : '{"detail":"no"}');
  });
  const code = async (url: string) =>
    exchange(fetchTransport(url), manifest, request).catch((e) => `${e.code} ${e.message}`);
  expect(await code(`${server.url}/200/text`)).toMatch(/^NOT_ISTHMUS .*text\/html.*Check the endpoint/);
  expect(await code(`${server.url}/404/text`)).toMatch(/^NOT_ISTHMUS .*404/);
  expect(await code(`${server.url}/200/application`)).toMatch(/^NOT_ISTHMUS .*application\/json/);
  expect(await code(`${server.url}/502/text`)).toMatch(/^OFFLINE .*gateway/);
  expect(await code(await closedPort())).toMatch(/^OFFLINE .*ECONNREFUSED.*isthmus serve/);
});

test('a frame damaged once is sent again, damaged twice it is an error', async () => {
  const damaged = reply();
  damaged[damaged.length - 1]! ^= 1;
  let left = 1;
  let requests = 0;
  await using server = await localServer((_, res) => {
    requests++;
    answer(res, left-- > 0 ? damaged : reply());
  });
  const transport = fetchTransport(server.url);
  const mended = await exchange(transport, manifest, request);
  expect(mended).toMatchObject({ resent: true, bytesUp: 2 * request.byteLength });
  expect(mended.bytesDown).toBe(2 * damaged.byteLength);
  left = 2;
  requests = 0;
  await expect(exchange(transport, manifest, request)).rejects.toMatchObject({ code: 'FRAME_CORRUPT' });
  expect(requests).toBe(2);
});

test('a request that met a tail which had begun to stop is sent once more', async () => {
  const closing = reply({
    kind: 'error',
    meta: { error: { code: 'CLOSED', message: 'The tail is stopping.' } },
    tensors: [],
  });
  let left = 1;
  await using server = await localServer((_, res) => {
    const stopping = left-- > 0;
    res.writeHead(stopping ? 503 : 200, { 'content-type': FRAME_TYPE }).end(stopping ? closing : reply());
  });
  const transport = fetchTransport(server.url);
  expect(await exchange(transport, manifest, request)).toMatchObject({ resent: true });
  left = 2;
  await expect(exchange(transport, manifest, request)).rejects.toMatchObject({ code: 'CLOSED' });
});

test('of several replies the last one is timed, as on links', async () => {
  await using server = await localServer((_, res) => {
    res.writeHead(200, { 'content-type': MESSAGES_TYPE });
    res.write(writeMessage('reply', 1, { body: reply(), more: true }));
    setTimeout(() => res.end(writeMessage('reply', 1, { body: reply() })), 200);
  });
  const { timings } = await fetchTransport(server.url).send(request, { onReply: () => undefined });
  expect(timings.firstByte).toBeGreaterThan(190);
  expect(timings.download).toBeLessThan(100);
});

test('replies that do not belong to this model or claim too much are refused', async () => {
  let frame = reply();
  await using server = await localServer((_, res) => void answer(res, frame));
  const code = async (next: Uint8Array<ArrayBuffer>) => {
    frame = next;
    return exchange(fetchTransport(server.url), manifest, request).catch((e) => e.code);
  };
  expect(await code(reply({ modelTag: 'f'.repeat(16) }))).toBe('MODEL_MISMATCH');
  expect(await code(reply({ tensors: [] }))).toBe('FRAME_INVALID');
  expect(await code(reply({ kind: 'request' }))).toBe('FRAME_INVALID');
  expect(await code(reply({ tensors: [{ ...logits([1, 2]), shape: [1, 3] }] }))).toBe('FRAME_INVALID');
  expect(await code(reply().slice(0, 40))).toBe('FRAME_INVALID');
});

test('a reply above the limit is refused, whether its length is declared or not', async () => {
  const chunk = Buffer.alloc(1024 * 1024);
  let written = 0;
  await using server = await localServer(async (req, res) => {
    if (req.url?.startsWith('/declared')) {
      res.writeHead(200, { 'content-type': FRAME_TYPE, 'content-length': 2 ** 32 }).flushHeaders();
      return;
    }
    res.writeHead(200, { 'content-type': FRAME_TYPE });
    for (written = 0; written < 200 && !res.destroyed; written++) {
      if (!res.write(chunk)) {
        await new Promise<void>((done) => {
          const go = () => done(void res.off('drain', go).off('close', go));
          res.once('drain', go).once('close', go);
        });
      }
    }
  });
  for (const way of ['declared', 'endless']) {
    const failing = fetchTransport(`${server.url}/${way}`).send(request);
    await expect(failing, way).rejects.toMatchObject({ code: 'TOO_LARGE' });
  }
  expect(written).toBeLessThan(150);
});

test('a connection that breaks inside the reply is OFFLINE', async () => {
  await using server = await localServer((_, res) => {
    res.writeHead(200, { 'content-type': FRAME_TYPE, 'content-length': 1000 });
    res.write(Buffer.alloc(10), () => res.destroy());
  });
  await expect(fetchTransport(server.url).send(request)).rejects.toMatchObject({ code: 'OFFLINE' });
});

test('abort and close end a request at once, before and after the headers', async () => {
  let gone = 0;
  await using server = await localServer((req, res) => {
    res.on('close', () => gone++);
    if (req.url?.startsWith('/late')) res.writeHead(200, { 'content-type': FRAME_TYPE }).flushHeaders();
  });
  for (const way of ['early', 'late']) {
    const controller = new AbortController();
    const sending = fetchTransport(`${server.url}/${way}`).send(request, { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(sending).rejects.toMatchObject({ name: 'AbortError' });
  }
  const transport = fetchTransport(server.url);
  const sending = transport.send(request);
  setTimeout(() => transport.close(), 50);
  await expect(sending).rejects.toMatchObject({ name: 'AbortError' });
  await expect.poll(() => gone).toBe(3); // the server learns of it, so its work can stop
});

test('a token that cannot be a header is the caller’s mistake', async () => {
  const failing = fetchTransport('http://127.0.0.1:9', 'two words').send(request);
  await expect(failing).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});
