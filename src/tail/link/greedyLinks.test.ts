// Clients that hold on to what they have: replies that are never read, uploads that never end, links that are left. The tail holds a
// bounded amount, gives it back, and serves the next one.
import { createConnection, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { writeMessage } from '../../wire/message.ts';
import type { TailServer } from '../index.ts';
import { figure } from '../testTails.fixture.ts';
import {
  ask,
  healthy,
  hello,
  openWebSocket,
  replyTo,
  strictTails,
  until,
  welcomed,
} from './testLink.fixture.ts';

const { tiny, start, held } = await strictTails();
const openLinks = (tail: TailServer) => figure(tail, 'open_links{transport="websocket"}');

test('a client that does not read its replies is cut off', async () => {
  const tail = await start({ linkLimits: { bufferedBytes: 1 << 18 } });
  const socket = await rawLink(tail);
  const ping = masked(writeMessage('ping', 1, { body: new Uint8Array(60_000) }));
  let open = true;
  socket.once('close', () => {
    open = false;
  });
  const pump = setInterval(() => open && socket.writableLength < 1 << 20 && socket.write(ping), 1);
  await until(async () => (await openLinks(tail)) === 1, 'the link');
  await until(async () => (await openLinks(tail)) === 0, 'its end');
  clearInterval(pump);
  socket.destroy();
  await healthy(tail, tiny);
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
  await until(async () => (await openLinks(tail)) === 1, 'the link');
  await until(async () => (await openLinks(tail)) === 0, 'its end');
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
  expect(await held(tail)).toBe(0);
  socket.terminate();
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
  await until(async () => (await held(tail)) >= 2_800_000, 'the uploads');
  for (const socket of sockets) socket.terminate();
  await until(async () => (await held(tail)) === 0, 'their bytes given back');
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
  await until(async () => (await openLinks(tail)) === 0, 'its end');
  await until(async () => (await figure(tail, 'in_flight_requests')) === 1, 'the end of all work'); // the question itself
  expect(await held(tail)).toBe(0);
  await healthy(tail, tiny);
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
