// What is peculiar to WebTransport: clients that leave at any moment or never speak, garbage on
// the UDP port, other addresses. Its links are tested with the others in links.test.ts.
import { createSocket } from 'node:dgram';
import { WebTransport } from 'rwebtransport';
import { afterAll, expect, test } from 'vitest';
import { certificateHashes } from '../listen/certificate.ts';
import { testModels } from '../testModels.fixture.ts';
import { figure, testCertificate } from '../testTails.fixture.ts';
import {
  ask,
  healthy,
  hello,
  openWebTransport,
  replyTo,
  steeredTails,
  until,
  welcomed,
} from './testLink.fixture.ts';

const problems: object[] = [];
const warnings: string[] = [];
const logger = {
  info() {},
  warn: (_: object, text: string) => void warnings.push(text),
  error: (fields: object) => void problems.push(fields),
};

const { dir, tiny } = await testModels();
const tls = await testCertificate();
const { start, end } = steeredTails(
  { models: dir, logger, tls, metrics: 'public', linkLimits: { helloMs: 2000 } },
  500,
);
const tail = await start();
afterAll(async () => {
  await end();
  expect(problems).toEqual([]);
});

const pinned = () => ({
  serverCertificateHashes: certificateHashes(tls.certificate).map((hash) => ({
    algorithm: 'sha-256',
    value: Buffer.from(hash, 'base64'),
  })),
});

const openLinks = () => figure(tail, 'open_links{transport="webtransport"}');

test('60 clients that leave before, while and after they open a link', async () => {
  const leave = async (stage: number) => {
    const session = new WebTransport(`https://127.0.0.1:${tail.port}/link`, pinned());
    session.closed.catch(() => undefined);
    session.ready.catch(() => undefined);
    if (stage === 0) return session.close();
    await session.ready;
    if (stage === 1) return session.close();
    const stream = await session.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => undefined);
    if (stage > 2) await writer.write(hello());
    if (stage > 3) await writer.write(ask(tiny, 1, 5000).subarray(0, stage > 4 ? 1e6 : 100));
    session.close();
  };
  for (let i = 0; i < 60; i += 12) {
    await Promise.all(Array.from({ length: 12 }, (_, n) => leave((i + n) % 6)));
  }
  await healthy(tail, tiny, openWebTransport);
  for (const end = Date.now() + 15_000; (await openLinks()) !== 0; ) {
    if (Date.now() > end) throw new Error(`${await openLinks()} links are still open`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('garbage on the UDP port harms nothing', async () => {
  const socket = createSocket('udp4');
  for (let i = 0; i < 300; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(1 + ((i * 37) % 1300)));
    if (i % 2) bytes[0] = 0xc0 | (bytes[0]! & 15); // looks like a long header of QUIC
    await new Promise((resolve) => socket.send(bytes, tail.port, '127.0.0.1', resolve));
  }
  socket.close();
  await healthy(tail, tiny, openWebTransport);
});

test.each(['localhost', '::1', '0.0.0.0', '::'])('listens on %s for UDP as for TCP', async (host) => {
  const other = await start({ host });
  expect(other.webTransport?.port).toBe(other.port);
  const target = host.includes(':')
    ? '[::1]'
    : host === 'localhost'
      ? new URL(other.url).hostname
      : '127.0.0.1';
  const session = new WebTransport(`https://${target}:${other.port}/link`, pinned());
  session.closed.catch(() => undefined);
  await session.ready;
  session.close();
  await other.close({ graceMs: 500 });
});

test('without it the tail says so and offers WebSocket', async () => {
  const taken = createSocket('udp4');
  await new Promise<void>((resolve) => taken.bind(0, '127.0.0.1', resolve));
  const { port } = taken.address();
  warnings.length = 0;
  const other = await start({ port });
  expect(other.webTransport).toBe(undefined);
  expect(await (await other.app.request('/link')).json()).toEqual({
    version: 1,
    websocket: true,
    ticket: false,
  });
  expect(warnings).toEqual(['WebTransport is not offered; WebSocket is']);
  const off = await start({ webTransport: false });
  expect(off.webTransport).toBe(undefined);
  await Promise.all([other.close({ graceMs: 100 }), off.close({ graceMs: 100 })]);
  taken.close();
});

test('a client that opens no stream, or says nothing on it, is sent away', async () => {
  const session = new WebTransport(`https://127.0.0.1:${tail.port}/link`, pinned());
  await session.ready;
  expect((await session.closed).closeCode).toBe(408);
  const link = await openWebTransport(tail);
  link.send(hello().subarray(0, 3));
  expect((await link.ended).code).toBe(1002);
  await until(() => link.inbox.some((m) => m.id === 0), 'a reason');
});

test('many links at once', async () => {
  const links = await Promise.all(Array.from({ length: 20 }, () => openWebTransport(tail)));
  for (const link of links) link.send(hello());
  await Promise.all(links.map(welcomed));
  for (const [i, link] of links.entries()) link.send(ask(tiny, i + 1, 20 - i));
  const answers = await Promise.all(links.map((link, i) => replyTo(link, i + 1)));
  expect(answers.every((frame) => frame.kind === 'reply')).toBe(true);
  for (const link of links) link.close();
});
