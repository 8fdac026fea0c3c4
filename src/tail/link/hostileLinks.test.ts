// Clients that mean harm, or do not know what they do: damaged messages by the thousand, replies that are never read, uploads
// that never end. The tail answers with codes, holds a bounded amount, and serves the next one.
import { createConnection, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../model/manifest.ts';
import { cutMessage } from '../../wire/datagram.ts';
import { MessageReader, readMessage, writeMessage } from '../../wire/message.ts';
import { createTailServer, type TailServer, type TailServerOptions } from '../index.ts';
import { testModels } from '../testModels.fixture.ts';
import {
  ask,
  hello,
  lastWord,
  openWebSocket,
  replyTo,
  type SteeredBackend,
  steeredBackend,
  until,
  welcomed,
} from './testLink.fixture.ts';

let dir: string;
let tiny: Manifest;
let backend: SteeredBackend;
const tails: TailServer[] = [];
const problems: object[] = [];
const logger = { info() {}, warn() {}, error: (fields: object) => void problems.push(fields) };

beforeAll(async () => {
  ({ dir, tiny } = await testModels());
});
afterEach(async () => {
  await Promise.all(tails.splice(0).map((t) => t.close({ graceMs: 100 })));
  expect(problems).toEqual([]);
});

async function start(options: Partial<TailServerOptions> = {}): Promise<TailServer> {
  backend = steeredBackend();
  const tail = await createTailServer({
    models: dir,
    port: 0,
    logger,
    threads: 1,
    backend,
    metrics: 'public',
    ...options,
  });
  tails.push(tail);
  return tail;
}

async function healthy(tail: TailServer): Promise<void> {
  const link = await openWebSocket(tail);
  link.send(hello());
  link.send(ask(tiny, 1));
  expect((await replyTo(link, 1)).kind).toBe('reply');
  link.close();
}

const gauge = async (tail: TailServer, name: string) => {
  const text = await (await tail.app.request('/metrics')).text();
  return Number(new RegExp(`^isthmus_${name}(?:\\{[^}]*websocket[^}]*\\})? (\\d+)$`, 'm').exec(text)?.[1]);
};

test('20,000 damaged messages are read or refused with a code', () => {
  const seeds = [hello(), ask(tiny, 7), writeMessage('ping', 1, { body: new Uint8Array(9) })];
  const damage = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...seeds), damage, fc.nat(200), fc.nat(50), (seed, changes, cut, chop) => {
      const bytes = seed.slice(0, cut < 40 ? cut : seed.length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const reader = new MessageReader(1 << 20);
      for (const read of [
        () => readMessage(bytes),
        () => {
          for (let at = 0; at < bytes.length; at += chop + 1) reader.push(bytes.subarray(at, at + chop + 1));
        },
      ]) {
        try {
          read();
        } catch (thrown) {
          if (!(thrown instanceof IsthmusError)) throw thrown;
          expect(['FRAME_INVALID', 'TOO_LARGE']).toContain(thrown.code);
        }
      }
    }),
    { numRuns: 20_000, seed: 4 },
  );
});

test('3,000 damaged messages over open links: answers with codes, no defect, and the next client is served', {
  timeout: 60_000,
}, async () => {
  const tail = await start({ maxBodyBytes: 1 << 16 });
  const codes = new Map<string, number>();
  const seeds = [ask(tiny, 7), ask(tiny, 8), writeMessage('cancel', 3), fragments(ask(tiny, 9))];
  const rounds = fc.sample(
    fc.array(
      fc.tuple(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(70), fc.nat(255)), { maxLength: 3 }),
        fc.nat(400),
      ),
      { minLength: 10, maxLength: 10 },
    ),
    { numRuns: 300, seed: 5 },
  );
  for (const round of rounds) {
    const link = await openWebSocket(tail);
    link.send(hello());
    for (const [i, [seed, changes, cut]] of round.entries()) {
      // The envelope is hit less often: what is wrong there ends the link, and the rest is not looked at.
      const skip = cut % 20 === 0 ? 0 : 16;
      const bytes = seed.slice(0, cut < 15 ? cut : seed.length);
      for (const [at, value] of changes) if (at + skip < bytes.length) bytes[at + skip] = value;
      // Most get a right length and an id of their own, so that what lies behind those checks is reached too.
      if (bytes.length >= 16 && cut % 4) {
        const view = new DataView(bytes.buffer);
        view.setUint32(0, bytes.length, true);
        view.setUint32(8, i + 1, true);
      }
      link.send(bytes);
    }
    link.send(ask(tiny, 999));
    await until(
      () => link.inbox.some((m) => m.type === 'reply' && (m.id === 999 || m.id === 0)),
      'an answer',
    );
    for (const { type, body } of link.inbox) {
      if (type !== 'reply') continue;
      const code = /"code":"(\w+)"/.exec(Buffer.from(body).toString('latin1'))?.[1] ?? 'ok';
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    link.close();
  }
  console.log('answers by code:', Object.fromEntries(codes));
  expect([...codes.keys()]).toEqual(expect.arrayContaining(['ok', 'FRAME_INVALID', 'FRAME_CORRUPT']));
  expect(codes.has('INTERNAL')).toBe(false);
  await healthy(tail);
  expect(await gauge(tail, 'held_bytes')).toBe(0);
});

test('a client that does not read its replies is cut off', async () => {
  const tail = await start({ linkLimits: { bufferedBytes: 1 << 18 } });
  const socket = await rawLink(tail);
  const ping = masked(writeMessage('ping', 1, { body: new Uint8Array(60_000) }));
  let open = true;
  socket.once('close', () => {
    open = false;
  });
  const pump = setInterval(() => open && socket.writableLength < 1 << 20 && socket.write(ping), 1);
  await waitFor(async () => (await gauge(tail, 'open_links')) === 1);
  await waitFor(async () => (await gauge(tail, 'open_links')) === 0);
  clearInterval(pump);
  socket.destroy();
  await healthy(tail);
});

test('pings whose answers are not read end the link long before its bytes would', async () => {
  const tail = await start();
  const socket = await rawLink(tail);
  const pings = Buffer.concat(
    Array.from({ length: 100 }, () => masked(writeMessage('ping', 1, { body: new Uint8Array(1000) }))),
  );
  let [open, sent] = [true, 0];
  socket.once('close', () => {
    open = false;
  });
  const pump = setInterval(() => {
    if (!open || socket.writableLength > 1 << 20) return;
    socket.write(pings);
    sent += pings.byteLength;
  }, 1);
  await waitFor(async () => (await gauge(tail, 'open_links')) === 1);
  await waitFor(async () => (await gauge(tail, 'open_links')) === 0);
  clearInterval(pump);
  socket.destroy();
  expect(sent).toBeLessThan(24 << 20); // most of it is what sockets hold
});

test('pings of WebSocket itself take nothing from the budget', async () => {
  const tail = await start();
  const socket = new WebSocket(`${tail.url.replace('http', 'ws')}/link`, 'isthmus.1');
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(hello());
  let pongs = 0;
  socket.on('pong', () => pongs++);
  for (let i = 0; i < 300; i++) {
    socket.ping(new Uint8Array(i % 125));
    if (i % 30 === 29) await until(() => pongs > i - 20, 'pongs');
  }
  expect(await gauge(tail, 'held_bytes')).toBe(0);
  socket.terminate();
});

test('messages above the limit end the link, in one piece and in many', async () => {
  const tail = await start({ maxBodyBytes: 50_000 });
  const link = await openWebSocket(tail);
  link.send(hello());
  const welcome = JSON.parse(new TextDecoder().decode((await welcomed(link)).body));
  link.send(new Uint8Array(welcome.messageBytes + 1));
  expect((await link.ended).code).toBe(1009);
  const text = await openWebSocket(tail);
  (text as unknown as { send(text: string): void }).send('hello');
  expect((await lastWord(text)).code).toBe('FRAME_INVALID');
  expect((await text.ended).code).toBe(1002);
  await healthy(tail);
});

test('uploads that never end count against the budget, and are given back', async () => {
  const tail = await start();
  const sockets = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const socket = new WebSocket(`${tail.url.replace('http', 'ws')}/link`, 'isthmus.1');
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send(hello());
      socket.send(new Uint8Array(1_000_000), { fin: false });
      return socket;
    }),
  );
  // What comes in one piece with the hello is not counted.
  await waitFor(async () => (await gauge(tail, 'held_bytes')) >= 2_800_000);
  for (const socket of sockets) socket.terminate();
  await waitFor(async () => (await gauge(tail, 'held_bytes')) === 0);
});

test('before the hello nothing can be uploaded', async () => {
  const tail = await start({ linkLimits: { helloMs: 60_000 } });
  const link = await openWebSocket(tail);
  link.send(new Uint8Array(1_000_000));
  expect((await lastWord(link)).code).toBe('REQUEST_INVALID');
  await waitFor(async () => (await gauge(tail, 'held_bytes')) === 0);
  // Together with the hello it can.
  const eager = await openWebSocket(tail);
  eager.send(hello());
  eager.send(ask(tiny, 1, 0, { filler: 60_000 }));
  expect((await replyTo(eager, 1)).kind).toBe('reply');
  eager.close();
});

test('upgrades that are none of ours are refused', async () => {
  const tail = await start();
  const attempt = (path: string, protocols: string[] = ['isthmus.1']) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${tail.url.replace('http', 'ws')}${path}`, protocols);
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
      socket.on('open', () => resolve('open')).on('error', () => undefined);
    });
  expect(await attempt('/models')).toBe(404);
  expect(await attempt('/linked')).toBe(404);
  expect(await attempt('/link', [])).toBe(400);
  expect(await attempt('/link', ['isthmus.2'])).toBe(400);
  const foreign = new WebSocket(`${tail.url.replace('http', 'ws')}/link`, 'isthmus.1', {
    origin: 'https://evil.example',
  });
  const status = await new Promise((resolve) => {
    foreign
      .on('unexpected-response', (_, response) => resolve(response.statusCode))
      .on('error', () => undefined);
  });
  expect(status).toBe(403);
  await healthy(tail);
});

test('500 clients that vanish in the middle leave nothing behind', async () => {
  const tail = await start();
  for (let i = 0; i < 500; i += 20) {
    const batch = Array.from({ length: 20 }, async (_, n) => {
      const link = await openWebSocket(tail);
      link.send(hello());
      if ((i + n) % 3 > 0) link.send(ask(tiny, 1, 5000));
      if ((i + n) % 3 > 1) link.send(ask(tiny, 2, 0));
      await new Promise((resolve) => setTimeout(resolve, (i + n) % 5));
      link.close();
    });
    await Promise.all(batch);
  }
  await waitFor(async () => (await gauge(tail, 'open_links')) === 0);
  await waitFor(async () => (await gauge(tail, 'in_flight_requests')) <= 1); // the question itself
  expect(await gauge(tail, 'held_bytes')).toBe(0);
  await healthy(tail);
});

test('links on which nothing happens are closed, those that are used are not', async () => {
  const tail = await start({ linkLimits: { idleMs: 1500 } });
  const [idle, busy] = await Promise.all([openWebSocket(tail), openWebSocket(tail)]);
  for (const link of [idle, busy]) link.send(hello());
  await Promise.all([welcomed(idle), welcomed(busy)]);
  busy.send(ask(tiny, 1, 7000));
  expect((await idle.ended).reason).toContain('Nothing happened');
  expect((await replyTo(busy, 1)).kind).toBe('reply');
  busy.close();
});

/** The first datagrams of a request, sent again. */
function fragments(request: Uint8Array): Uint8Array<ArrayBuffer> {
  const datagrams = cutMessage(9, request, 200)!.slice(0, 4);
  const parts = datagrams.flatMap((d) => [Uint8Array.of(d.byteLength & 255, d.byteLength >> 8), d]);
  return writeMessage('fragments', 9, { body: Buffer.concat(parts) });
}

/** A link over a socket that reads no more than the handshake. */
async function rawLink(tail: TailServer): Promise<Socket> {
  const socket = createConnection(tail.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const key = Buffer.alloc(16).toString('base64');
  const head = `GET /link HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13`;
  socket.write(`${head}\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: isthmus.1\r\n\r\n`);
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  socket.write(masked(hello()));
  return socket;
}

/** One final binary WebSocket frame, masked with zeros. */
function masked(message: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head[0] = 0x82;
  head[1] = 0x80 | 126;
  head.writeUInt16BE(message.byteLength, 2);
  return Buffer.concat([head, message]);
}

async function waitFor(probe: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 15_000; !(await probe()); ) {
    if (Date.now() > end) throw new Error('did not happen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
