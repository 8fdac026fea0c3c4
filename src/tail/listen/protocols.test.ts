// One port for all: HTTP/1.1, HTTP/2 and WebSocket over TLS, plain HTTP beside them, with limits that hold for each.
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { get } from 'node:https';
import { createConnection, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, test, vi } from 'vitest';
import { FRAME_TYPE } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { TailServer } from '../index.ts';
import { hello, openWebTransport, steeredTails, until, welcomed } from '../link/testLink.fixture.ts';
import { rawExchange } from '../testClient.fixture.ts';
import { rawTensor, testModels, tinyFrame } from '../testModels.fixture.ts';
import { testCertificate } from '../testTails.fixture.ts';
import { certificateHashes } from './certificate.ts';
import { isLoopback } from './sortConnections.ts';

const sessions: ClientHttp2Session[] = [];
const problems: object[] = [];
const logger = { info() {}, warn() {}, error: (fields: object) => void problems.push(fields) };

const { dir, tiny } = await testModels();
const tls = await testCertificate();
const tails = steeredTails({ models: dir, logger, tls, webTransport: false });
const { start } = tails;
afterEach(async () => {
  vi.restoreAllMocks();
  for (const session of sessions.splice(0)) session.destroy();
  await tails.end();
  expect(problems).toEqual([]);
});

function open(tail: TailServer): ClientHttp2Session {
  const session = connect(tail.url, { ca: tls.cert });
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: Buffer;
}

async function h2(session: ClientHttp2Session, path: string, body?: Uint8Array): Promise<Answer> {
  const stream = session.request({
    ':path': path,
    ...(body && { ':method': 'POST', 'content-type': FRAME_TYPE }),
  });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = once(stream, 'end');
  stream.end(body);
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  await ended;
  return { status: headers[':status'] as number, headers, body: Buffer.concat(chunks) };
}

const feature = (ms: number) => {
  const values = new Float32Array(256);
  values[0] = ms;
  return tinyFrame(tiny, { tensors: [rawTensor([1, 4, 8, 8], values)] });
};

test('HTTP/2 by ALPN: requests side by side on one connection', async () => {
  const tail = await start();
  expect(tail.url).toMatch(/^https:/);
  const session = open(tail);
  const slow = h2(session, '/models/tiny/infer', feature(300));
  const fast = h2(session, '/models/tiny/infer', feature(0));
  const order: string[] = [];
  await Promise.all([slow.then(() => order.push('slow')), fast.then(() => order.push('fast'))]);
  expect(session.alpnProtocol).toBe('h2');
  expect(order).toEqual(['fast', 'slow']);
  expect((await slow).status).toBe(200);
  expect(readFrame(new Uint8Array((await slow).body)).kind).toBe('reply');
  expect((await h2(session, '/models')).status).toBe(200);
  expect((await h2(session, '/nothing')).status).toBe(404);
});

test('HTTP/1.1 over TLS on the same port', async () => {
  const tail = await start();
  const [response] = await once(get(`${tail.url}/healthz`, { ca: tls.cert, agent: false }), 'response');
  response.resume();
  expect([response.statusCode, response.httpVersion]).toEqual([200, '1.1']);
});

test('plain HTTP on the TLS port is served to this machine', async () => {
  const tail = await start();
  const plain = `http://127.0.0.1:${tail.port}`;
  expect((await fetch(`${plain}/readyz`)).status).toBe(200);
  const body = feature(0);
  const response = await fetch(`${plain}/models/tiny/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE },
    body,
  });
  expect(readFrame(new Uint8Array(await response.arrayBuffer())).kind).toBe('reply');
  // In single bytes, so that the first one comes alone.
  const text = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  expect(await rawExchange(tail.port, [...text])).toMatch(/^HTTP\/1.1 200 /);
});

/** Behind `remoteAddress`. */
interface PeerSocket {
  _getpeername(): object;
}

test('plain HTTP from elsewhere is sent to https', async () => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address && !address.internal && address.family === 'IPv4');
  const host = outside?.address ?? '127.0.0.1';
  // Where nobody is elsewhere, what the system says of the other side is all that is made up.
  const elsewhere = { address: '203.0.113.7', family: 'IPv4', port: 50_000 };
  if (!outside)
    vi.spyOn(Socket.prototype as unknown as PeerSocket, '_getpeername').mockReturnValue(elsewhere);
  const tail = await start({ host: '0.0.0.0' });
  const there = `http://${host}:${tail.port}/models?x=1`;
  const response = await fetch(there, { redirect: 'manual', headers: { connection: 'close' } });
  expect(response.status).toBe(308);
  expect(response.headers.get('location')).toBe(there.replace('http:', 'https:'));
  // A path that looks like a host stays a path.
  const twice = `http://${host}:${tail.port}//evil.example/x`;
  const stays = await fetch(twice, { redirect: 'manual', headers: { connection: 'close' } });
  expect(stays.headers.get('location')).toBe(twice.replace('http:', 'https:'));
});

test('which addresses are this machine', () => {
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) {
    expect(isLoopback(address), address).toBe(true);
  }
  for (const address of ['10.0.0.1', '::2', '::ffff:10.0.0.1', '128.0.0.1', '', undefined]) {
    expect(isLoopback(address), address).toBe(false);
  }
});

test('HTTP/2: bodies above the limit, slow bodies, clients that leave', async () => {
  const tail = await start({ maxBodyBytes: 100_000, requestTimeoutMs: 500, headersTimeoutMs: 10_000 });
  const session = open(tail);
  const large = session.request({
    ':path': '/models/tiny/infer',
    ':method': 'POST',
    'content-type': FRAME_TYPE,
  });
  large.on('error', () => undefined);
  large.write(new Uint8Array(200_000));
  const [refused] = (await once(large, 'response')) as [Record<string, unknown>];
  expect(refused[':status']).toBe(413);
  const slow = session.request({
    ':path': '/models/tiny/infer',
    ':method': 'POST',
    'content-type': FRAME_TYPE,
  });
  slow.on('error', () => undefined);
  slow.write(new Uint8Array(10));
  const [late] = (await once(slow, 'response')) as [Record<string, unknown>];
  expect(late[':status']).toBe(408);
  const gone = session.request({
    ':path': '/models/tiny/infer',
    ':method': 'POST',
    'content-type': FRAME_TYPE,
  });
  gone.on('error', () => undefined);
  gone.end(feature(60_000));
  await until(() => tails.backend.begun.length === 1, 'the request');
  gone.close(constants.NGHTTP2_CANCEL);
  await until(() => tails.backend.cancelled.size === 1, 'its cancellation');
  expect((await h2(session, '/healthz')).status).toBe(200);
});

test('HTTP/2: more headers than the limit', async () => {
  const session = open(await start());
  const stream = session.request({ ':path': '/healthz', 'x-much': 'y'.repeat(30_000) });
  const outcome = await new Promise((resolve) => {
    stream.on('response', (headers) => resolve(headers[':status']));
    stream.on('error', () => resolve('refused'));
    stream.on('close', () => resolve('refused'));
  });
  expect([431, 'refused']).toContain(outcome);
});

test('HTTP/2: a connection that opens requests only to cancel them is closed', async () => {
  const tail = await start();
  const session = open(tail);
  await h2(session, '/healthz');
  for (let round = 0; round < 60 && !session.destroyed && !session.closed; round++) {
    const streams = Array.from({ length: 50 }, () => session.request({ ':path': '/healthz' }));
    for (const stream of streams) stream.on('error', () => undefined);
    await new Promise((resolve) => setImmediate(resolve)); // else they would never leave
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => session.destroyed || session.closed, 'the end of the connection');
  expect((await h2(open(tail), '/healthz')).status).toBe(200);
});

test('connections that say nothing are closed: before the first byte, in the handshake, in HTTP/2, in HTTP/1.1', async () => {
  const tail = await start({ headersTimeoutMs: 300 });
  const silent = createConnection(tail.port, '127.0.0.1');
  const half = createConnection(tail.port, '127.0.0.1');
  half.write(Uint8Array.of(22, 3, 1));
  const idle = connectTls({ port: tail.port, ca: tls.cert, ALPNProtocols: ['h2'] });
  const slow = rawExchange(tail.port, ['GET / HTTP/1.1\r\nX: '], { ms: 15_000 });
  const slowTls = connectTls({ port: tail.port, ca: tls.cert, ALPNProtocols: ['http/1.1'] });
  slowTls.write('GET / HTTP/1.1\r\nX: ');
  let said = '';
  slowTls.on('data', (chunk) => {
    said += chunk;
  });
  for (const socket of [silent, half, idle, slowTls]) {
    socket.on('error', () => undefined).resume();
    if (!socket.destroyed) await once(socket, 'close');
  }
  expect(await slow).toMatch(/^HTTP\/1.1 408 /);
  expect(said).toMatch(/^HTTP\/1.1 408 /);
  expect((await h2(open(tail), '/healthz')).status).toBe(200);
});

test('a stop waits for no connection that asks for nothing, and for every one that does', async () => {
  const tail = await start();
  const silent = createConnection(tail.port, '127.0.0.1');
  const idle = connectTls({ port: tail.port, ca: tls.cert, ALPNProtocols: ['h2'] }, () => undefined);
  for (const socket of [silent, idle]) socket.on('error', () => undefined).resume();
  await once(idle, 'secureConnect');
  const used = open(tail);
  await h2(used, '/healthz');
  const running = h2(used, '/models/tiny/infer', feature(600));
  await until(() => tails.backend.begun.length === 1, 'the request');
  const began = performance.now();
  const closed = tail.close({ graceMs: 20_000 });
  expect((await running).status).toBe(200);
  await closed;
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(used.destroyed || used.closed).toBe(true);
});

test('a stop cuts HTTP/2 requests that outlive the grace time', async () => {
  const tail = await start();
  const session = open(tail);
  h2(session, '/models/tiny/infer', feature(60_000)).catch(() => undefined);
  await until(() => tails.backend.begun.length === 1, 'the request');
  await tail.close({ graceMs: 100 });
  await until(() => session.destroyed, 'the end of the connection');
});

test('garbage instead of TLS and HTTP harms nothing', async () => {
  const tail = await start();
  for (let i = 0; i < 60; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(300));
    if (i % 2) bytes[0] = 22;
    await rawExchange(tail.port, [bytes], { end: true, ms: 500 });
  }
  expect((await h2(open(tail), '/healthz')).status).toBe(200);
});

test('certificates that are none, or of another key, are refused by name', async () => {
  const other = await testCertificate();
  await expect(start({ tls: { ...tls, cert: 'none' } })).rejects.toThrow('certificate cannot be read');
  await expect(start({ tls: { ...tls, key: 'none' } })).rejects.toThrow(
    'key of the certificate cannot be read',
  );
  await expect(start({ tls: { ...tls, key: other.key } })).rejects.toThrow('not that of the certificate');
});

test('another certificate for new connections, while the old ones go on', async () => {
  const tail = await start({ webTransport: true });
  const before = tail.webTransport!.certificateHashes[0];
  const old = open(tail);
  await h2(old, '/healthz');
  const next = await testCertificate();
  await expect(tail.renewCertificate({ cert: next.cert, key: tls.key })).rejects.toThrow('not that of');
  expect(tail.webTransport!.certificateHashes[0]).toBe(before);
  await tail.renewCertificate(next);
  const session = connect(tail.url, { ca: next.cert });
  sessions.push(session);
  expect((await h2(session, '/healthz')).status).toBe(200);
  expect((await h2(old, '/healthz')).status).toBe(200);
  expect(tail.webTransport!.certificateHashes).toEqual(certificateHashes(next.certificate));
  const link = await openWebTransport(tail); // which trusts that hash alone
  link.send(hello());
  await welcomed(link);
  link.close();
  const plain = await start({ tls: undefined as never });
  await expect(plain.renewCertificate(next)).rejects.toThrow('without a certificate');
});
