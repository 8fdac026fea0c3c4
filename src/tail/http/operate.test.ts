// What operators see and set over HTTP: metrics and who reads them, bounds on addresses and headers, deadline, priority, ids.
import { createServer } from 'node:http';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { FRAME_TYPE } from '../../wire/layout.ts';
import type { TailServer } from '../index.ts';
import { createGate } from '../operate/createGate.ts';
import type { InferOptions, TailBackend } from '../run/backend.ts';
import { rawExchange } from '../testClient.fixture.ts';
import { testModels, tinyFrame } from '../testModels.fixture.ts';
import { testCertificate, testTails } from '../testTails.fixture.ts';

const { dir, tiny } = await testModels();
const { start, end } = testTails({ models: dir });
afterEach(end);

const infer = (tail: TailServer, headers: Record<string, string> = {}, body: BodyInit = tinyFrame(tiny)) =>
  fetch(`${tail.url}/models/tiny/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE, ...headers },
    body,
  });

/** Value of one line of the text format. */
const value = (text: string, line: string): number | undefined => {
  const found = text.split('\n').find((l) => l.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
};

test('metrics: requests by outcome, bytes, stages, sizes at the moment, the process', async () => {
  const tail = await start();
  let bytesOut = 0;
  for (const body of [tinyFrame(tiny), tinyFrame(tiny), 'no frame'])
    bytesOut += (await (await infer(tail, {}, body)).arrayBuffer()).byteLength;
  await fetch(`${tail.url}/healthz`);
  const response = await fetch(`${tail.url}/metrics`);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const ok = 'transport="http",code="ok"';
  expect(value(text, `isthmus_requests_total{${ok}}`)).toBe(2);
  expect(value(text, 'isthmus_requests_total{transport="http",code="FRAME_INVALID"}')).toBe(1);
  expect(value(text, `isthmus_request_seconds_count{${ok}}`)).toBe(2);
  const seconds = value(text, `isthmus_request_seconds_sum{${ok}}`)!;
  expect(seconds > 0 && seconds < 60).toBe(true);
  const bytesIn = 2 * tinyFrame(tiny).byteLength + 8;
  expect(value(text, 'isthmus_bytes_total{transport="http",direction="in"}')).toBe(bytesIn);
  expect(value(text, 'isthmus_bytes_total{transport="http",direction="out"}')).toBe(bytesOut);
  for (const stage of ['decode', 'queue', 'tail', 'encode'])
    expect([stage, value(text, `isthmus_stage_seconds_count{stage="${stage}"}`)]).toEqual([stage, 2]);
  expect(value(text, 'isthmus_models')).toBe(2);
  expect(value(text, 'isthmus_held_bytes')).toBe(0);
  expect(value(text, 'isthmus_in_flight_requests')).toBe(1); // the one that asks
  expect(value(text, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
});

test('metrics are for this machine, for holders of a token, or as configured', async () => {
  const token = 'metrics-token-0123456789';
  const gate = await createGate({ tokens: [{ subject: 'prometheus', token }] });
  const [local, closed, shared, off] = await Promise.all([
    start(),
    start({ gate }),
    start({ metrics: 'public' }),
    start({ metrics: 'off' }),
  ]);
  const status = async (tail: TailServer, headers: Record<string, string> = {}) => {
    const response = await fetch(`${tail.url}/metrics`, { headers });
    await response.arrayBuffer();
    return response.status;
  };
  const passedOn = { 'x-forwarded-for': '127.0.0.1' }; // a proxy on this machine speaks for somebody else
  expect(await status(local)).toBe(200);
  expect(await status(local, passedOn)).toBe(403);
  expect(await status(closed)).toBe(200);
  expect(await status(closed, passedOn)).toBe(401);
  expect(await status(closed, { ...passedOn, authorization: `Bearer ${token}x` })).toBe(401);
  expect(await status(closed, { ...passedOn, authorization: `Bearer ${token}` })).toBe(200);
  expect(await status(shared, passedOn)).toBe(200);
  expect(await status(off)).toBe(404);
});

test('more than the rate is 429 with Retry-After, for that client only, guesses included', async () => {
  const tokens = ['al', 'bo'].map((subject) => ({ subject, token: `token-of-${subject}-0123456789` }));
  const gate = await createGate({ tokens, rate: { perSecond: 0.1, burst: 3 }, trustedProxies: 1 });
  const tail = await start({ gate });
  const ask = async (subject: string, from: string) => {
    const authorization = `Bearer token-of-${subject}-0123456789`;
    const response = await infer(tail, { authorization, 'x-forwarded-for': from });
    await response.arrayBuffer();
    return [response.status, response.headers.get('retry-after')];
  };
  const times = async (n: number, subject: string, from: string) => {
    const statuses = [];
    for (let i = 0; i < n; i++) statuses.push((await ask(subject, from))[0]);
    return statuses;
  };
  expect(await times(3, 'al', '1.1.1.1')).toEqual([200, 200, 200]);
  const [status, retry] = await ask('al', '2.2.2.2');
  expect(status).toBe(429);
  expect(Number(retry)).toBeGreaterThan(0);
  expect(Number(retry)).toBeLessThanOrEqual(30);
  expect(await times(1, 'bo', '1.1.1.1')).toEqual([200]);
  expect(await times(4, 'nobody', '3.3.3.3')).toEqual([401, 401, 401, 429]);
  expect(await times(1, 'nobody', '4.4.4.4')).toEqual([401]);
});

test('long addresses are 414, many or large headers 431, and the connection ends', async () => {
  const tail = await start();
  const get = (path: string, headers: string[]) =>
    rawExchange(
      tail.port,
      [`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers.map((h) => `${h}\r\n`).join('')}\r\n`],
      { ms: 5000 },
    );
  expect(await get(`/healthz?${'x'.repeat(3000)}`, [])).toMatch(/^HTTP\/1.1 414 [\s\S]*connection: close/i);
  const many = Array.from({ length: 150 }, (_, i) => `x-${i}: 1`);
  expect(await get('/healthz', many)).toMatch(/^HTTP\/1.1 431 [\s\S]*connection: close/i);
  expect(await get('/healthz', [`x: ${'x'.repeat(15_500)}`])).toMatch(/^HTTP\/1.1 431 /);
  expect(await get('/healthz', [`x: ${'x'.repeat(60_000)}`])).toMatch(/^HTTP\/1.1 431 /);
  const few = Array.from({ length: 60 }, (_, i) => `x-${i}: ${'x'.repeat(100)}`);
  expect(await get('/healthz', [...few, 'connection: close'])).toMatch(/^HTTP\/1.1 200 /);
});

test('the same bounds and origins over HTTP/2, where there is no Host and no connection header', async () => {
  const { cert, key } = await testCertificate();
  const tail = await start({ tls: { cert, key }, webTransport: false });
  const session = connect(tail.url, { ca: cert });
  const status = (headers: Record<string, string>) =>
    new Promise((resolve, reject) => {
      const stream = session.request(headers).on('error', reject).resume();
      stream.on('response', (answer) => stream.on('end', () => resolve(answer[':status'])));
    });
  const many = Object.fromEntries(Array.from({ length: 110 }, (_, i) => [`x-${i}`, '1']));
  expect(await status({ ':path': '/healthz' })).toBe(200);
  expect(await status({ ':path': `/healthz?${'x'.repeat(3000)}` })).toBe(414);
  expect(await status({ ':path': '/healthz', ...many })).toBe(431);
  expect(await status({ ':path': '/healthz', x: 'x'.repeat(15_500) })).toBe(431);
  expect(await status({ ':path': '/models', origin: tail.url })).toBe(200);
  expect(await status({ ':path': '/models', origin: 'https://evil.example' })).toBe(403);
  session.close();
});

test('deadline, urgency, id and subject of a request reach the backend', async () => {
  const seen: InferOptions[] = [];
  const scores = { dtype: 'float32', shape: [1, 3], data: new Float32Array(3) } as const;
  const backend: TailBackend = {
    infer: async (_model, _first, _tensors, options) => {
      seen.push(options);
      return { outputs: { scores }, timings: { queue: 0, tail: 1 } };
    },
    close: async () => undefined,
  };
  const token = 'token-of-shop-0123456789';
  const gate = await createGate({ tokens: [{ subject: 'shop', token }] });
  const tail = await start({ backend, gate });
  const status = async (headers: Record<string, string>) => {
    const response = await infer(tail, { authorization: `Bearer ${token}`, ...headers });
    await response.arrayBuffer();
    return [response.status, response.headers.get('x-request-id')];
  };
  const before = Date.now();
  const given = { 'isthmus-deadline': '5000', priority: 'i, u=1', 'x-request-id': 'request-of-mine' };
  expect(await status(given)).toEqual([200, 'request-of-mine']);
  expect(seen[0]).toMatchObject({ id: 'request-of-mine', urgency: 1, subject: 'shop' });
  expect(seen[0]!.deadline).toBeGreaterThanOrEqual(before + 5000);
  expect(seen[0]!.deadline).toBeLessThanOrEqual(Date.now() + 5000);
  for (const priority of ['u=9', 'u', 'u=x', 'urgent', '']) expect((await status({ priority }))[0]).toBe(200);
  expect(seen.slice(1).map(({ urgency, deadline }) => [urgency, deadline])).toEqual(
    Array(5).fill([undefined, undefined]),
  );
  for (const deadline of ['0', '-1', '1.5', 'soon', '1e3', '99999999'])
    expect((await status({ 'isthmus-deadline': deadline }))[0]).toBe(400);
  expect(seen.length).toBe(6);
});

test('the address of a client behind two proxies is the one that the outer proxy saw', async () => {
  const gate = await createGate({
    rate: { perSecond: 0.01, burst: 1 },
    trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'],
  });
  const tail = await start({ gate });
  // A real proxy in between that appends where its request came from, as haproxy does.
  const proxy = createServer((request, response) => {
    const passedOn = `${request.headers['x-forwarded-for'] ?? ''}, 10.1.2.3`;
    fetch(`${tail.url}/models`, { headers: { 'x-forwarded-for': passedOn } }).then((answer) => {
      response.writeHead(answer.status).end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  const ask = async (claim: string) => {
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    return (await fetch(url, { headers: { 'x-forwarded-for': claim, connection: 'close' } })).status;
  };
  expect(await ask('6.6.6.6, 203.0.113.1')).toBe(200);
  expect(await ask('7.7.7.7, 203.0.113.1')).toBe(429); // another claim in front changes nothing
  expect(await ask('7.7.7.7, 203.0.113.2')).toBe(200);
  await new Promise((resolve) => proxy.close(resolve));
});
