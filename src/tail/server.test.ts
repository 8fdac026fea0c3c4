// The tail on a real socket: broken and slow clients, sizes, overload, and the graceful stop.

import { request } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { FRAME_TYPE } from '../wire/layout.ts';
import { readFrame } from '../wire/readFrame.ts';
import type { TailServer } from './index.ts';
import { rawExchange } from './testClient.fixture.ts';
import { rawTensor, testModels, tinyFrame } from './testModels.fixture.ts';
import { testTails } from './testTails.fixture.ts';

const lines: Record<string, unknown>[] = [];
const logger = {
  info: (fields: object) => void lines.push(fields as Record<string, unknown>),
  warn: () => undefined,
  error: (fields: object) => void lines.push({ ...fields, isError: true }),
};

const { dir, tiny, slow } = await testModels();
const { start, end } = testTails({ models: dir, logger });
afterEach(async () => {
  await end();
  expect(lines.filter((l) => l.isError)).toEqual([]);
  lines.length = 0;
});

const slowFrame = () => tinyFrame(slow, { tensors: [rawTensor([1, 1], Float32Array.of(0.001))] });

function infer(tail: TailServer, name: string, body: BodyInit, init: RequestInit = {}): Promise<Response> {
  return fetch(`${tail.url}/models/${name}/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE },
    body,
    ...init,
  });
}

async function healthy(tail: TailServer): Promise<void> {
  const response = await infer(tail, 'tiny', tinyFrame(tiny));
  expect(response.status).toBe(200);
  expect(readFrame(new Uint8Array(await response.arrayBuffer())).kind).toBe('reply');
}

const head = (type: string, rest: string) =>
  `POST /models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${rest}\r\n\r\n`;

test('a body that ends early leaves the server well', async () => {
  const tail = await start();
  await rawExchange(tail.port, [head(FRAME_TYPE, 'Content-Length: 5000'), tinyFrame(tiny).slice(0, 700)], {
    end: true,
    ms: 500,
  });
  await rawExchange(tail.port, [head(FRAME_TYPE, 'Transfer-Encoding: chunked'), '40\r\nabc'], {
    end: true,
    ms: 500,
  });
  await healthy(tail);
});

test('bodies above the limit: declared, chunked, and asked for with Expect', async () => {
  const tail = await start({ maxBodyBytes: 100_000 });
  const declared = await rawExchange(tail.port, [
    head(FRAME_TYPE, 'Content-Length: 99999999'),
    new Uint8Array(1000),
  ]);
  expect(declared).toMatch(/^HTTP\/1.1 413 /);
  expect(declared).toContain('TOO_LARGE');
  const chunk = ['10000\r\n', new Uint8Array(65536), '\r\n'];
  const chunked = await rawExchange(tail.port, [
    head(FRAME_TYPE, 'Transfer-Encoding: chunked'),
    ...chunk,
    ...chunk,
  ]);
  expect(chunked).toMatch(/^HTTP\/1.1 413 /);
  const asked = await rawExchange(tail.port, [
    head(FRAME_TYPE, 'Content-Length: 99999999\r\nExpect: 100-continue'),
  ]);
  expect(asked).toMatch(/^HTTP\/1.1 413 /);
  const welcome = await rawExchange(tail.port, [
    head(
      FRAME_TYPE,
      `Content-Length: ${tinyFrame(tiny).length}\r\nConnection: close\r\nExpect: 100-continue`,
    ),
    tinyFrame(tiny),
  ]);
  expect(welcome).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
  await healthy(tail);
});

test('a picture of 50 MB is refused, and not read further than the limit', async () => {
  const tail = await start();
  let sent = 0;
  const endless = () =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent >= 50) controller.close();
        else controller.enqueue(new Uint8Array(1024 * 1024));
        sent++;
      },
    });
  const headers = { 'content-type': 'image/jpeg' };
  const streamed = { method: 'POST', headers, body: endless(), duplex: 'half' as const };
  const refused = await tail.app.request('/models/tiny/infer', streamed);
  expect(refused.status).toBe(413);
  expect(sent).toBeLessThan(24);
  const onTheWire = await infer(tail, 'tiny', new Uint8Array(50 * 1024 * 1024), { headers });
  expect(onTheWire.status).toBe(413);
  expect(await onTheWire.json()).toMatchObject({ error: { code: 'TOO_LARGE' } });
  await healthy(tail);
});

test('slow headers and slow bodies end with 408, others are served meanwhile', async () => {
  const tail = await start({ headersTimeoutMs: 300, requestTimeoutMs: 600 });
  const slowHead = rawExchange(
    tail.port,
    ['POST /models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nX-Slow: '],
    {
      ms: 5000,
    },
  );
  const slowBody = rawExchange(tail.port, [head(FRAME_TYPE, 'Content-Length: 5000'), new Uint8Array(10)], {
    ms: 5000,
  });
  await healthy(tail);
  expect(await slowHead).toMatch(/^HTTP\/1.1 408 /);
  expect(await slowBody).toMatch(/^HTTP\/1.1 408 /);
  await healthy(tail);
});

test('a client that leaves frees its thread for the next', async () => {
  const tail = await start();
  await (await infer(tail, 'slow', slowFrame())).arrayBuffer();
  const controllers = Array.from({ length: 8 }, () => new AbortController());
  const gone = controllers.map(({ signal }) =>
    infer(tail, 'slow', slowFrame(), { signal }).catch((e: Error) => e.name),
  );
  await new Promise((resolve) => setTimeout(resolve, 60));
  for (const c of controllers) c.abort();
  expect(await Promise.all(gone)).toEqual(Array(8).fill('AbortError'));
  const started = performance.now();
  const single = await infer(tail, 'slow', slowFrame());
  await single.arrayBuffer();
  // One that runs cannot be stopped, the seven that waited must not run at all.
  const timing = Number(/tail;dur=([0-9.]+)/.exec(single.headers.get('server-timing')!)![1]);
  expect(performance.now() - started).toBeLessThan(5 * timing + 500);
  expect(lines.filter((l) => l.status === 499).length).toBe(8);
});

test('overload: the queue is bounded, refusals say when to come back and do not wait', async () => {
  const tail = await start({ maxQueue: 2 });
  await (await infer(tail, 'slow', slowFrame())).arrayBuffer();
  const answers = Array.from({ length: 8 }, async () => {
    const response = await infer(tail, 'slow', slowFrame());
    const frame = readFrame(new Uint8Array(await response.arrayBuffer()));
    return {
      status: response.status,
      retry: response.headers.get('retry-after'),
      code: frame.meta.error?.code,
    };
  });
  const all = await Promise.all(answers);
  expect(all.filter((a) => a.status === 200).length).toBe(3);
  const refused = all.filter((a) => a.status === 503);
  expect(refused).toEqual(Array(5).fill({ status: 503, retry: '1', code: 'OVERLOADED' }));
  await healthy(tail);
});

test('stopping: readyz turns at once, new work is refused, work in flight is answered, then the port is closed', async () => {
  const tail = await start();
  const agentless = { connection: 'close' };
  const running = infer(tail, 'slow', slowFrame());
  await new Promise((resolve) => setTimeout(resolve, 80));
  const closed = tail.close({ graceMs: 10_000 });
  const ready = await fetch(`${tail.url}/readyz`, { headers: agentless });
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'stopping' }]);
  const refused = await infer(tail, 'tiny', tinyFrame(tiny));
  expect(refused.status).toBe(503);
  expect(readFrame(new Uint8Array(await refused.arrayBuffer())).meta.error?.code).toBe('CLOSED');
  const answer = await running;
  expect(answer.status).toBe(200);
  expect(readFrame(new Uint8Array(await answer.arrayBuffer())).kind).toBe('reply');
  await closed;
  await expect(fetch(`${tail.url}/healthz`)).rejects.toThrow();
});

test('stopping cuts what outlives the grace time', async () => {
  const tail = await start({ requestTimeoutMs: 60_000 });
  const stuck = rawExchange(tail.port, [head(FRAME_TYPE, 'Content-Length: 5000')], { ms: 10_000 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const started = performance.now();
  await tail.close({ graceMs: 200 });
  expect(performance.now() - started).toBeLessThan(2000);
  await stuck;
});

test('a log line has id, route, status, times and bytes, and nothing of the content', async () => {
  const tail = await start();
  lines.length = 0; // requests that earlier tests left behind may have ended since
  const frame = tinyFrame(tiny);
  const response = await infer(tail, 'tiny', frame);
  const reply = await response.arrayBuffer();
  await fetch(`${tail.url}/models?token=secret`);
  expect(lines).toEqual([
    {
      requestId: response.headers.get('x-request-id'),
      transport: 'http',
      route: 'POST /models/tiny/infer',
      status: 200,
      ms: expect.any(Number),
      bytesIn: frame.byteLength,
      bytesOut: reply.byteLength,
    },
    expect.objectContaining({ route: 'GET /models', status: 200 }),
  ]);
  expect(JSON.stringify(lines)).not.toContain('secret');
});

test('keep-alive carries many frames on one connection', async () => {
  const tail = await start();
  const { Agent } = await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  for (let i = 0; i < 20; i++) {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const outgoing = request(
        `${tail.url}/models/tiny/infer`,
        { method: 'POST', agent, headers: { 'content-type': FRAME_TYPE } },
        (response) => {
          ports.add(response.socket.localPort);
          response.resume().on('end', () => resolve(response.statusCode));
        },
      );
      outgoing.on('error', reject).end(tinyFrame(tiny));
    });
    expect(status).toBe(200);
  }
  expect(ports.size).toBe(1);
  agent.destroy();
});
