// GET /link and POST /link on a real socket: discovery, and messages both ways over one request.
import { once } from 'node:events';
import { request } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { IsthmusError } from '../../errors.ts';
import { type Message, MessageReader, writeMessage } from '../../wire/message.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { TailServer } from '../index.ts';
import { ask, steeredTails, until } from '../link/testLink.fixture.ts';
import { openGate } from '../operate/gate.ts';
import { testModels } from '../testModels.fixture.ts';

const { dir, tiny } = await testModels();
const tails = steeredTails({ models: dir });
const { start, end } = tails;
afterEach(end);

const TYPE = 'application/vnd.isthmus.messages';
const post = (tail: TailServer, body: BodyInit, headers: Record<string, string> = {}) =>
  fetch(`${tail.url}/link`, { method: 'POST', headers: { 'content-type': TYPE, ...headers }, body });

async function messagesOf(response: Response): Promise<Message[]> {
  return new MessageReader().push(new Uint8Array(await response.arrayBuffer()));
}

test('discovery says what there is', async () => {
  const tail = await start();
  const response = await fetch(`${tail.url}/link`);
  expect(response.headers.get('cache-control')).toBe('no-cache');
  expect(await response.json()).toEqual({ version: 1, websocket: true, ticket: false });
  const closed = await start({ gate: { ...openGate, closed: true } });
  expect(await (await fetch(`${closed.url}/link`)).json()).toMatchObject({ ticket: true });
  expect((await fetch(`${tail.url}/link`, { method: 'DELETE' })).status).toBe(405);
});

test('several requests in one body are answered in the order they get ready', async () => {
  const tail = await start();
  const body = Buffer.concat([
    ask(tiny, 1, 300),
    ask(tiny, 2),
    writeMessage('request', 3, { body: new Uint8Array(40) }),
  ]);
  const response = await post(tail, body);
  expect(response.headers.get('content-type')).toBe(TYPE);
  const replies = await messagesOf(response);
  expect(replies.map((m) => m.type)).toEqual(['reply', 'reply', 'reply']);
  expect(replies.map((m) => m.id).sort()).toEqual([1, 2, 3]);
  expect(replies.at(-1)!.id).toBe(1);
  expect(readFrame(replies.find((m) => m.id === 3)!.body).meta.error?.code).toBe('FRAME_INVALID');
});

test('replies stream while the body is still being sent, and a client that leaves cancels', async () => {
  const tail = await start();
  const outgoing = request(`${tail.url}/link`, { method: 'POST', headers: { 'content-type': TYPE } });
  outgoing.on('error', () => undefined);
  outgoing.write(ask(tiny, 1));
  const [response] = await once(outgoing, 'response');
  const reader = new MessageReader();
  const inbox: Message[] = [];
  response.on('data', (chunk: Buffer) => inbox.push(...reader.push(chunk)));
  response.on('error', () => undefined);
  await until(() => inbox.some((m) => m.id === 1), 'the first reply');
  outgoing.write(ask(tiny, 2, 60_000));
  await until(() => tails.backend.begun.length === 2, 'the second request');
  outgoing.destroy();
  await until(() => tails.backend.cancelled.has(2), 'its cancellation');
});

test('a body that makes no sense, or ends early', async () => {
  const tail = await start();
  const [broken] = await messagesOf(await post(tail, new Uint8Array(200).fill(255)));
  expect([broken?.type, broken?.id]).toEqual(['reply', 0]);
  expect(readFrame(broken!.body).meta.error?.code).toBe('TOO_LARGE');
  expect(await messagesOf(await post(tail, ask(tiny, 1).slice(0, 100)))).toEqual([]);
  expect(await messagesOf(await post(tail, ''))).toEqual([]);
  expect((await post(tail, '', { 'content-type': 'text/html' })).status).toBe(415);
});

test('the gate holds', async () => {
  const bearer = async (header: string | undefined) => {
    if (header === 'Bearer right') return 'anna';
    throw new IsthmusError('UNAUTHENTICATED', 'Send a token.');
  };
  const tail = await start({ gate: { ...openGate, closed: true, bearer } });
  expect((await post(tail, ask(tiny, 1))).status).toBe(401);
  const [reply] = await messagesOf(await post(tail, ask(tiny, 1), { authorization: 'Bearer right' }));
  expect(readFrame(reply!.body).kind).toBe('reply');
});
