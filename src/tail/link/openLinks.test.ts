// How many links may be open, how long a message may take, and that no link outlives the token it was opened with.

import { createConnection } from 'node:net';
import { SignJWT } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Message, readMessage, writeMessage } from '../../wire/message.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { createGate, type TailServer } from '../index.ts';
import { testModels } from '../testModels.fixture.ts';
import { figure, testCertificate } from '../testTails.fixture.ts';
import {
  ask,
  hello,
  lastWord,
  openWebSocket,
  openWebTransport,
  replyTo,
  steeredTails,
  type TestLink,
  until,
  welcomed,
} from './testLink.fixture.ts';

const { dir, tiny } = await testModels();
const tls = await testCertificate();
const tails = steeredTails({ models: dir, metrics: 'public' });
const { start, end } = tails;
afterEach(end);

const TOKEN = 'token-of-the-shop-0123456789';
const SECRET = 'k'.repeat(32);
const jwt = { issuer: 'i', audience: 'a', secret: SECRET, clockTolerance: 0 };

/** Status and headers of a handshake that is refused. */
const refusal = (tail: TailServer) =>
  new Promise<{ status: number; retryAfter: string | undefined }>((resolve, reject) => {
    const socket = new WebSocket(`${tail.url.replace('http', 'ws')}/link`, 'isthmus.1', {
      rejectUnauthorized: false,
    });
    socket.on('open', () => reject(new Error('it was opened'))).on('error', () => undefined);
    socket.on('unexpected-response', (_, response) => {
      resolve({ status: response.statusCode!, retryAfter: response.resume().headers['retry-after'] });
    });
  });

const postLink = (tail: TailServer, headers: Record<string, string> = {}) =>
  fetch(`${tail.url}/link`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.isthmus.messages', ...headers },
    body: ask(tiny, 1),
  });

const held = (tail: TailServer) => figure(tail, 'held_bytes');

async function opened(tail: TailServer, ticket?: string): Promise<TestLink> {
  const link = await openWebSocket(tail);
  link.send(hello(ticket));
  await welcomed(link);
  return link;
}

async function ticketFor(tail: TailServer, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${tail.url}/tickets`, { method: 'POST', headers });
  return ((await response.json()) as { ticket: string }).ticket;
}

test.each([
  ['in all', { maxLinks: 2 }],
  ['of one address', { maxLinksPerAddress: 2 }],
])('links are bounded: %s', async (_, limits) => {
  const tail = await start(limits);
  const links = [await opened(tail), await opened(tail)];
  expect(await refusal(tail)).toEqual({ status: 503, retryAfter: '5' });
  const posted = await postLink(tail);
  expect([posted.status, posted.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await posted.json()).toMatchObject({ error: { code: 'OVERLOADED' } });
  links[0]!.close();
  for (let i = 0; ; i++) {
    const again = await postLink(tail);
    await again.arrayBuffer();
    if (again.status === 200) break;
    expect(i).toBeLessThan(100);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  links[1]!.close();
});

test('WebTransport counts among them, from its session on', async () => {
  const tail = await start({ tls, maxLinks: 2 });
  const silent = await openWebTransport(tail); // no byte on its stream yet
  const link = await openWebTransport(tail);
  link.send(hello());
  await welcomed(link);
  expect((await (await openWebTransport(tail)).ended).code).toBe(503);
  expect((await refusal(tail)).status).toBe(503);
  silent.close();
  link.close();
});

test('connections are bounded', async () => {
  const tail = await start({ maxConnections: 3 });
  const sockets = Array.from({ length: 5 }, () => createConnection(tail.port, '127.0.0.1'));
  let closed = 0;
  for (const socket of sockets) socket.on('error', () => undefined).on('close', () => closed++);
  await until(() => closed === 2, 'two are dropped');
  for (const socket of sockets) socket.destroy();
});

test('a message that does not get whole ends the link with a reason, and gives its bytes back', {
  timeout: 30_000,
}, async () => {
  const tail = await start({ tls, requestTimeoutMs: 500 });
  const [stream, busy] = [await openWebTransport(tail), await opened(tail)];
  const large = writeMessage('request', 1, { body: new Uint8Array(500_000) });
  stream.send(hello());
  await welcomed(stream);
  stream.send(large.subarray(0, 300_000));
  const socket = new WebSocket(`${tail.url.replace('http', 'ws')}/link`, 'isthmus.1', {
    rejectUnauthorized: false,
  });
  const inbox: Message[] = [];
  socket.on('message', (data: Buffer) => inbox.push(readMessage(new Uint8Array(data))));
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(hello());
  socket.send(large.subarray(0, 300_000), { fin: false });
  busy.send(ask(tiny, 7, 8000));
  const { code, message } = await lastWord(stream);
  expect([code, message]).toEqual(['REQUEST_INVALID', expect.stringContaining('not whole within 0.5 s')]);
  expect((await stream.ended).code).toBe(1002);
  expect(await closed).toBe(1002);
  expect(readFrame(inbox.at(-1)!.body).meta.error?.code).toBe('REQUEST_INVALID');
  for (let i = 0; (await held(tail)) > 100_000; i++) {
    expect(i).toBeLessThan(200);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect((await replyTo(busy, 7)).kind).toBe('reply');
  busy.close();
});

const sign = (seconds: number) =>
  new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('al')
    .setIssuer('i')
    .setAudience('a')
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(new TextEncoder().encode(SECRET));

/** What a link does whose token ends: goaway, answers what runs, refuses what is new, goes. */
async function leaves(link: TestLink): Promise<void> {
  await until(() => link.inbox.some(({ type }) => type === 'goaway'), 'goaway');
  link.send(ask(tiny, 2));
  expect((await replyTo(link, 2)).meta.error?.code).toBe('UNAUTHENTICATED');
  expect((await replyTo(link, 1)).kind).toBe('reply');
  expect(await link.ended).toEqual({ code: 1001, reason: expect.stringContaining('token') });
}

test('a link ends with the JWT that its ticket was given for', async () => {
  const tail = await start({ gate: await createGate({ jwt }) });
  const link = await opened(tail, await ticketFor(tail, await sign(2)));
  const lasting = await opened(tail, await ticketFor(tail, await sign(600)));
  link.send(ask(tiny, 1, 3500));
  await leaves(link);
  lasting.send(ask(tiny, 1));
  expect((await replyTo(lasting, 1)).kind).toBe('reply');
  expect(lasting.inbox.some(({ type }) => type === 'goaway')).toBe(false);
  // Nothing runs: it goes a moment after the goaway.
  const idle = await opened(tail, await ticketFor(tail, await sign(2)));
  expect((await idle.ended).code).toBe(1001);
  lasting.close();
});

test.each([
  ['its token is gone', { tokens: [{ subject: 'bo', token: 'y'.repeat(20) }] }, true],
  ['its subject has another token', { tokens: [{ subject: 'shop', token: 'y'.repeat(20) }] }, true],
  ['its models are others', { tokens: [{ subject: 'shop', token: TOKEN, models: ['tiny'] }] }, true],
  [
    'its token is still there',
    { tokens: [{ subject: 'shop', token: TOKEN }], rate: { perSecond: 99 } },
    false,
  ],
])('rules of the gate that are exchanged hold for open links: %s', async (_, changed, ends) => {
  const gate = await createGate({ tokens: [{ subject: 'shop', token: TOKEN }] });
  const tail = await start({ gate });
  const link = await opened(tail, await ticketFor(tail, TOKEN));
  const early = await ticketFor(tail, TOKEN);
  link.send(ask(tiny, 1, 1500));
  await until(() => tails.backend.begun.length === 1, 'it runs');
  await gate.reload(changed);
  await tail.reload();
  if (ends) {
    await leaves(link);
    const late = await openWebSocket(tail);
    late.send(hello(early));
    expect((await lastWord(late)).code).toBe('UNAUTHENTICATED');
  } else {
    link.send(ask(tiny, 2));
    expect((await replyTo(link, 2)).meta.error).toBe(undefined);
    (await opened(tail, early)).close();
    link.close();
  }
});

test('a gate that becomes closed ends the links that showed no token', async () => {
  const gate = await createGate({});
  const tail = await start({ gate });
  const link = await opened(tail);
  link.send(ask(tiny, 1, 1500));
  await until(() => tails.backend.begun.length === 1, 'it runs');
  await gate.reload({ jwt });
  link.send(ask(tiny, 3)); // before anybody told the links
  expect((await replyTo(link, 3)).meta.error?.code).toBe('UNAUTHENTICATED');
  await leaves(link);
});
