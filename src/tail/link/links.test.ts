// Links over real sockets: WebSocket, WebSocket over TLS, and WebTransport behave alike, whatever the client does.
import { afterEach, describe, expect, test } from 'vitest';
import { IsthmusError } from '../../errors.ts';
import { writeMessage } from '../../wire/message.ts';
import type { TailServer, TailServerOptions } from '../index.ts';
import { openGate } from '../operate/gate.ts';
import { testModels } from '../testModels.fixture.ts';
import { testCertificate } from '../testTails.fixture.ts';
import {
  ask,
  hello,
  lastWord,
  type Open,
  openWebSocket,
  openWebTransport,
  repliesTo,
  replyTo,
  steeredTails,
  type TestLink,
  until,
  welcomed,
} from './testLink.fixture.ts';

const lines: Record<string, unknown>[] = [];
const logger = {
  info: (fields: object) => void lines.push(fields as Record<string, unknown>),
  warn: (fields: object) => void lines.push({ ...fields, isWarning: true }),
  error: (fields: object) => void lines.push({ ...fields, isError: true }),
};

const { dir, tiny } = await testModels();
const tls = await testCertificate();
const tails = steeredTails({ models: dir, logger, metrics: 'public' }, 500);
afterEach(async () => {
  await tails.end();
  expect(lines.filter((l) => l.isError || l.isWarning)).toEqual([]);
  lines.length = 0;
});

const kinds: [name: string, open: Open, secure: boolean][] = [
  ['websocket', openWebSocket, false],
  ['websocket over TLS', openWebSocket, true],
  ['webtransport', openWebTransport, true],
];

describe.each(kinds)('%s', (name, open, secure) => {
  const start = (options: Partial<TailServerOptions> = {}) =>
    tails.start({ ...(secure && { tls }), ...options });

  async function connected(options: Partial<TailServerOptions> = {}): Promise<[TestLink, TailServer]> {
    const tail = await start(options);
    const link = await open(tail);
    link.send(hello());
    await welcomed(link);
    return [link, tail];
  }

  test('welcomes, and answers requests in the order they get ready', async () => {
    const tail = await start();
    const link = await open(tail);
    link.send(hello()); // and requests right behind it
    link.send(ask(tiny, 1, 400));
    link.send(ask(tiny, 2, 0, { urgency: 1, deadlineMs: 60_000 }));
    const welcome = JSON.parse(new TextDecoder().decode((await welcomed(link)).body));
    expect(welcome).toEqual({ version: 1, inFlight: 64, messageBytes: 8 * 1024 * 1024 + 16 });
    const [slow, fast] = await Promise.all([replyTo(link, 1), replyTo(link, 2)]);
    expect([slow.kind, fast.kind]).toEqual(['reply', 'reply']);
    expect(link.inbox.filter((m) => m.type === 'reply').map((m) => m.id)).toEqual([2, 1]);
    expect(new Float32Array(slow.tensors[0]!.payload.slice().buffer)[0]).toBe(1);
    const { options } = tails.backend.begun.find((b) => b.id === 2)!;
    expect(options.urgency).toBe(1);
    expect(options.deadline! - Date.now()).toBeGreaterThan(30_000);
    const line = await until(() => lines.find((l) => String(l.requestId).endsWith('.2')), 'the log line');
    const bytesIn = ask(tiny, 2).byteLength - 16;
    const transport = name.split(' ')[0];
    expect(line).toMatchObject({ transport, code: 'ok', bytesIn, bytesOut: expect.any(Number) });
    link.close();
  });

  test('a cancel reaches the backend, and nothing is answered', async () => {
    const [link] = await connected();
    link.send(ask(tiny, 5, 60_000));
    await until(() => tails.backend.begun.length === 1, 'the request');
    const sent = performance.now();
    link.send(writeMessage('cancel', 5));
    const at = await until(() => tails.backend.cancelled.get(5), 'the cancellation');
    expect(at - sent).toBeLessThan(100);
    link.send(ask(tiny, 6));
    await replyTo(link, 6);
    expect(repliesTo(link, 5)).toEqual([]);
    link.close();
  });

  test('a client that goes cancels all it asked for', async () => {
    const [link, tail] = await connected();
    for (const id of [1, 2, 3]) link.send(ask(tiny, id, 60_000));
    await until(() => tails.backend.begun.length === 3, 'three requests');
    link.close();
    await until(() => tails.backend.cancelled.size === 3, 'three cancellations');
    const open = (await (await tail.app.request('/metrics')).text()).match(/^isthmus_open_links\{.*$/gm)!;
    expect(open.length).toBe(3);
    for (const line of open) expect(line).toMatch(/ 0$/);
  });

  test('ids that are under way or were there before are not done again', async () => {
    const [link] = await connected();
    link.send(ask(tiny, 9, 100));
    link.send(ask(tiny, 9, 0));
    await replyTo(link, 9);
    link.send(ask(tiny, 9, 0));
    link.send(ask(tiny, 10, 0));
    await replyTo(link, 10);
    expect(repliesTo(link, 9).length).toBe(1);
    expect(tails.backend.begun.map((b) => b.id)).toEqual([9, 10]);
    link.close();
  });

  test('more than the bound is refused by name, the rest is answered', async () => {
    const [link] = await connected({ linkLimits: { inFlight: 3 } });
    for (let id = 1; id <= 5; id++) link.send(ask(tiny, id, 300));
    for (const id of [4, 5]) expect((await replyTo(link, id)).meta.error?.code).toBe('OVERLOADED');
    for (const id of [1, 2, 3]) expect((await replyTo(link, id)).kind).toBe('reply');
    link.close();
  });

  test('a bad frame is an error of its request; the link goes on', async () => {
    const [link] = await connected();
    link.send(writeMessage('request', 3, { body: new Uint8Array(50) }));
    expect((await replyTo(link, 3)).meta.error?.code).toBe('FRAME_INVALID');
    const damaged = ask(tiny, 4);
    damaged[damaged.length - 1]! ^= 1;
    link.send(damaged);
    const error = await replyTo(link, 4);
    expect(error.meta.error?.code).toBe('FRAME_CORRUPT');
    expect(error.modelTag).toBe(tiny.id.slice(0, 16));
    link.send(ask(tiny, 5));
    expect((await replyTo(link, 5)).kind).toBe('reply');
    link.close();
  });

  test('pings are answered with their id and body', async () => {
    const [link] = await connected();
    link.send(writeMessage('ping', 77, { body: Uint8Array.of(1, 2, 3) }));
    const pong = await until(() => link.inbox.find((m) => m.type === 'pong'), 'the pong');
    expect([pong.id, ...pong.body]).toEqual([77, 1, 2, 3]);
    link.close();
  });

  test.each([
    ['a request before hello', () => ask(tiny, 1), 'REQUEST_INVALID'],
    ['hello that is no JSON', () => writeMessage('hello', 0, { body: Uint8Array.of(1) }), 'REQUEST_INVALID'],
    [
      'hello of version 2',
      () => writeMessage('hello', 0, { body: Buffer.from('{"version":2}') }),
      'FRAME_VERSION',
    ],
    [
      'hello in lists',
      () => writeMessage('hello', 0, { body: Buffer.from('['.repeat(3000)) }),
      'REQUEST_INVALID',
    ],
  ])('%s ends the link with a reason', async (_, first, code) => {
    const link = await open(await start());
    link.send(first());
    expect((await lastWord(link)).code).toBe(code);
    await link.ended;
    expect(tails.backend.begun).toEqual([]);
  });

  test.each([
    ['a second hello', () => hello()],
    ['an unknown type', () => Uint8Array.of(16, 0, 0, 0, 99, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)],
    ['a reserved bit', () => Uint8Array.of(16, 0, 0, 0, 2, 16, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)],
    ['a request without id', () => writeMessage('request', 0, { body: new Uint8Array(40) })],
    ["the tail's own types", () => writeMessage('welcome', 0)],
    ['fragments that do not fill', () => writeMessage('fragments', 4, { body: Uint8Array.of(9, 0, 1) })],
  ])('%s ends an open link with a reason', async (_, message) => {
    const [link] = await connected();
    link.send(message());
    expect((await lastWord(link)).code).toBe('FRAME_INVALID');
    await link.ended;
  });

  test('no hello: the link ends', async () => {
    const link = await open(await start({ linkLimits: { helloMs: 150 } }));
    if (name === 'webtransport') link.send(new Uint8Array(1)); // a stream exists once something is on it
    expect((await lastWord(link)).message).toContain('No hello');
    await link.ended;
  });

  test('tickets are asked for where the gate is closed, origins where it has a list', async () => {
    const gate = {
      ...openGate,
      closed: true,
      allowsOrigin: (origin: string | null | undefined) => origin !== 'https://evil.example',
      redeem: (ticket: string | undefined) => {
        if (ticket === 'good') return { subject: 'anna' };
        throw new IsthmusError('UNAUTHENTICATED', 'Get a ticket from POST /tickets.');
      },
    };
    const tail = await start({ gate });
    const refused = await open(tail);
    refused.send(hello('bad'));
    refused.send(ask(tiny, 1));
    expect((await lastWord(refused)).code).toBe('UNAUTHENTICATED');
    await refused.ended;
    const link = await open(tail);
    link.send(hello('good'));
    link.send(ask(tiny, 1));
    expect((await replyTo(link, 1)).kind).toBe('reply');
    link.close();
    expect(JSON.stringify(lines)).not.toMatch(/good|"bad"/);
    expect(lines.filter((l) => l.subject === 'anna').length).toBe(1);
    const foreign = open(tail, { origin: 'https://evil.example' });
    if (name === 'webtransport') expect((await (await foreign).ended).code).toBe(403);
    else await expect(foreign).rejects.toThrow('403');
    const elsewhere = open(tail, { path: '/elsewhere' });
    if (name === 'webtransport') expect((await (await elsewhere).ended).code).toBe(404);
    else await expect(elsewhere).rejects.toThrow('404');
  });

  test('stopping: goaway, what runs is answered, nothing new is taken, then the link ends', async () => {
    const [link, tail] = await connected();
    link.send(ask(tiny, 1, 500));
    await until(() => tails.backend.begun.length === 1, 'the request');
    const closed = tail.close({ graceMs: 15_000 });
    await until(() => link.inbox.find((m) => m.type === 'goaway'), 'goaway');
    link.send(ask(tiny, 2));
    expect((await replyTo(link, 2)).meta.error?.code).toBe('CLOSED');
    expect((await replyTo(link, 1)).kind).toBe('reply');
    const { code } = await link.ended;
    // QUIC may end before its last capsule has come; nothing depends on the code then.
    if (name === 'webtransport') expect([0, 1001]).toContain(code);
    else expect(code).toBe(1001);
    await closed;
  });

  test('stopping cuts what outlives the grace time', async () => {
    const [link, tail] = await connected();
    link.send(ask(tiny, 1, 60_000));
    await until(() => tails.backend.begun.length === 1, 'the request');
    await tail.close({ graceMs: 100 });
    expect(tails.backend.cancelled.size).toBe(1);
    await link.ended;
  });
});
