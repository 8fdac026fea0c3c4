// How the transport that switches chooses its way, against real servers: races, blocked ways, kinds by name, what is
// remembered. Frames are opaque here; src/client tests the same with models. (autoBreaks.test.ts: what breaks later.)
import { afterEach, expect, test, vi } from 'vitest';
import { writeMessage } from '../wire/message.ts';
import { linkServer, polite, until } from './linkServer.fixture.ts';
import { localServer } from './localServer.fixture.ts';
import { makeTransport, type TransportChoice } from './makeTransport.ts';
import type { Transport } from './transport.ts';
import type { WebTransportClass } from './webtransport.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);
const open: Transport[] = [];

afterEach(async () => {
  for (const transport of open.splice(0)) await transport.close();
});

function transportTo(
  server: { url: string },
  { choice = 'auto', webTransport }: Partial<Parts> = {},
): Transport {
  const transport = makeTransport(choice, {
    base: server.url,
    model: `${server.url}/models/m`,
    webTransport,
  });
  open.push(transport);
  return transport;
}
interface Parts {
  choice: TransportChoice;
  webTransport: WebTransportClass;
}

const linked = (transport: Transport) => until(() => transport.kind !== 'fetch');

/** Counts how often it was tried, and what became of it. */
function stuckWebTransport() {
  const tried = { opened: 0, closed: 0 };
  class Stuck {
    readonly ready = new Promise<never>(() => undefined);
    readonly closed = new Promise<never>(() => undefined);
    readonly datagrams = undefined as unknown as WebTransportDatagramDuplexStream;
    constructor() {
      tried.opened++;
    }
    createBidirectionalStream(): Promise<never> {
      return this.ready;
    }
    close(): void {
      tried.closed++;
    }
  }
  return { tried, Stuck: Stuck as WebTransportClass };
}
const both = (url: string) => ({
  version: 1,
  websocket: true,
  webtransport: { port: Number(new URL(url).port) },
  ticket: false,
});

test('the first request does not wait: it goes by fetch, later ones over the link', async () => {
  await using server = await linkServer();
  const transport = transportTo(server);
  expect(await transport.send(bytes(1))).toMatchObject({ frame: bytes(1), via: 'fetch' });
  await linked(transport);
  expect(await transport.send(bytes(2))).toMatchObject({ frame: bytes(2), via: 'websocket' });
  expect(server.posts).toHaveLength(1);
  expect(server.peers[0]!.got.filter(({ type }) => type === 'request')).toHaveLength(1);
});

test('a tail without links is asked once', async () => {
  await using server = await linkServer({ offer: () => undefined });
  const transport = transportTo(server);
  await transport.warm?.();
  for (let i = 0; i < 3; i++) expect((await transport.send(bytes(i))).via).toBe('fetch');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(server.paths.filter((path) => path === 'GET /link')).toHaveLength(1);
});

test('WebTransport that never gets ready loses to WebSocket, and is closed; the winner is remembered', async () => {
  await using server = await linkServer({ offer: both });
  const { tried, Stuck } = stuckWebTransport();
  const transport = transportTo(server, { webTransport: Stuck });
  const began = performance.now();
  expect((await transport.send(bytes(1))).via).toBe('fetch');
  expect(performance.now() - began).toBeLessThan(2000);
  await linked(transport);
  expect(performance.now() - began).toBeGreaterThan(290);
  expect((await transport.send(bytes(2))).via).toBe('websocket');
  expect(tried).toEqual({ opened: 1, closed: 1 });

  const again = transportTo(server, { webTransport: Stuck });
  await again.warm?.();
  await linked(again);
  expect((await again.send(bytes(3))).via).toBe('websocket');
  expect(tried.opened).toBe(1);
});

test('where everything but fetch is blocked, fetch answers', async () => {
  await using server = await linkServer({ offer: both, blocked: () => true });
  const { tried, Stuck } = stuckWebTransport();
  const transport = transportTo(server, { webTransport: Stuck });
  await transport.warm?.();
  const began = performance.now();
  expect((await transport.send(bytes(1))).via).toBe('fetch');
  expect(performance.now() - began).toBeLessThan(2000);
  await until(() => tried.closed === 1);
  expect((await transport.send(bytes(2))).via).toBe('fetch');
  expect(server.peers).toEqual([]);
});

test('nobody there: OFFLINE at once, not after many tries', async () => {
  const server = await linkServer();
  await server.close();
  const began = performance.now();
  await expect(transportTo(server).send(bytes(1))).rejects.toMatchObject({ code: 'OFFLINE' });
  expect(performance.now() - began).toBeLessThan(1000);
  const forced = transportTo(server, { choice: 'websocket' });
  await expect(forced.send(bytes(1))).rejects.toMatchObject({ code: 'OFFLINE' });
});

test('a kind by name: that one, or OFFLINE with what to do', async () => {
  await using server = await linkServer();
  const socket = transportTo(server, { choice: 'websocket' });
  expect(await socket.send(bytes(1))).toMatchObject({ via: 'websocket' });
  expect(server.posts).toEqual([]);
  server.peers[0]!.socket.terminate();
  expect(await socket.send(bytes(2))).toMatchObject({ frame: bytes(2), via: 'websocket' });
  const { Stuck } = stuckWebTransport();
  const quic = transportTo(server, { choice: 'webtransport', webTransport: Stuck });
  const offered = { code: 'OFFLINE', message: expect.stringMatching(/offers websocket.*transport: 'auto'/) };
  await expect(quic.warm?.()).rejects.toMatchObject(offered);
  await expect(quic.send(bytes(1))).rejects.toMatchObject(offered);
  await using old = await linkServer({ offer: () => undefined });
  const none = { code: 'OFFLINE', message: expect.stringContaining('offers no links') };
  await expect(transportTo(old, { choice: 'websocket' }).send(bytes(1))).rejects.toMatchObject(none);
});

test('a damaged discovery is no discovery', async () => {
  const offers = [
    { version: 2, websocket: true },
    { version: 1, websocket: 'yes' },
    [],
    null,
    'no',
    { version: 1 },
  ];
  for (const offer of offers) {
    await using server = await linkServer({ offer: () => offer ?? undefined });
    const transport = transportTo(server);
    await transport.warm?.();
    expect((await transport.send(bytes(1))).via).toBe('fetch');
    await until(() => server.paths.includes('GET /link'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.peers).toEqual([]);
  }
});

test('several replies for one request, over fetch and over a link', async () => {
  await using server = await linkServer({
    message: (message, peer) => {
      if (message.type !== 'request') return polite(message, peer);
      peer.send('reply', message.id, { body: bytes(1), more: true });
      peer.send('reply', message.id, { body: bytes(2) });
    },
    post: (request, response) => {
      expect(request.headers.accept).toContain('application/vnd.isthmus.messages');
      expect(request.headers).toMatchObject({ 'isthmus-deadline': '5000', priority: 'u=1' });
      response.writeHead(200, { 'content-type': 'application/vnd.isthmus.messages' });
      const both = Buffer.concat([
        writeMessage('reply', 1, { body: bytes(1), more: true }),
        writeMessage('reply', 1, { body: bytes(2) }),
      ]);
      response.write(both.subarray(0, 20));
      setTimeout(() => response.end(both.subarray(20)), 20);
    },
  });
  for (const choice of ['fetch', 'websocket'] as const) {
    const early: Uint8Array[] = [];
    const transport = transportTo(server, { choice });
    const options = { onReply: (frame: Uint8Array) => early.push(frame), deadlineMs: 5000, urgency: 1 };
    expect(await transport.send(bytes(9), options)).toMatchObject({
      frame: bytes(2),
      bytesDown: 2,
      via: choice,
    });
    expect(early).toEqual([bytes(1)]);
  }
});

test('a tail that does not say which links it has holds up nothing for ever', async () => {
  await using server = await localServer(() => new Promise(() => undefined));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const refused = expect(transportTo(server, { choice: 'websocket' }).warm?.()).rejects.toMatchObject({
      code: 'OFFLINE',
      message: expect.stringContaining('nothing came within 10000 ms'),
    });
    await vi.advanceTimersByTimeAsync(10_000);
    await refused;
  } finally {
    vi.useRealTimers();
  }
});

test('a network that passes no links is not asked all the time', async () => {
  await using server = await linkServer({ blocked: () => true });
  const transport = transportTo(server);
  await transport.warm?.();
  for (const end = Date.now() + 2500; Date.now() < end; ) {
    expect((await transport.send(bytes(1))).via).toBe('fetch');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // At 0 s, after about 1 s, and after 2 s more.
  const asked = server.paths.filter((path) => path === 'GET /link').length;
  expect(asked).toBeGreaterThanOrEqual(2);
  expect(asked).toBeLessThanOrEqual(3);
});
