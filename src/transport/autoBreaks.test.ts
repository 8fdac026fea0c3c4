// What the transport that switches does when its way breaks, against real servers: cuts, silence, goaway, requests that
// hang, aborts. No request is lost, none is answered twice.
import { afterEach, expect, test } from 'vitest';
import { FRAME_TYPE } from '../wire/layout.ts';
import { type LinkServer, linkServer, polite, until } from './linkServer.fixture.ts';
import { makeTransport } from './makeTransport.ts';
import type { Transport } from './transport.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);
const open: Transport[] = [];

afterEach(async () => {
  for (const transport of open.splice(0)) await transport.close();
});

function transportTo({ url }: { url: string }): Transport {
  const transport = makeTransport('auto', { base: url, model: `${url}/models/m` });
  open.push(transport);
  return transport;
}

const linked = (transport: Transport) => until(() => transport.kind !== 'fetch');
const requests = (server: LinkServer) =>
  server.peers.flatMap(({ got }) => got.filter(({ type }) => type === 'request'));

test('a link that is cut under requests: each is answered once, by another way, and a new link opens', async () => {
  let hold = true;
  await using server = await linkServer({
    message: (message, peer) => {
      if (!hold || message.type !== 'request') polite(message, peer);
    },
  });
  const transport = transportTo(server);
  await transport.warm?.();
  await linked(transport);
  const early: Uint8Array[] = [];
  const sent = [1, 2, 3].map((n) => transport.send(bytes(n), { onReply: (r) => early.push(r) }));
  await until(() => requests(server).length === 3);
  hold = false;
  const cut = performance.now();
  server.peers[0]!.socket.terminate();
  const answers = await Promise.all(sent);
  expect(performance.now() - cut).toBeLessThan(1500);
  expect(answers.map(({ frame }) => frame[0])).toEqual([1, 2, 3]);
  expect(answers.map(({ bytesUp }) => bytesUp)).toEqual([2, 2, 2]); // both times it travelled
  expect(early).toEqual([]);
  await until(() => server.peers.length === 2);
  await linked(transport);
  expect((await transport.send(bytes(4))).via).toBe('websocket');
});

test('a link that falls silent is given up; the requests are answered by fetch, and late replies are dropped', async () => {
  let deaf = true;
  await using server = await linkServer({
    message: (message, peer) => {
      if (!deaf || message.type === 'hello') polite(message, peer);
    },
  });
  const transport = transportTo(server);
  await transport.warm?.();
  await linked(transport);
  const began = performance.now();
  const answer = await transport.send(bytes(1));
  expect(answer).toMatchObject({ frame: bytes(1), via: 'fetch' });
  expect(performance.now() - began).toBeLessThan(3000);
  deaf = false;
  await until(() => server.peers.length === 2 && transport.kind === 'websocket');
  expect((await transport.send(bytes(2))).via).toBe('websocket');
});

test('links cut again and again: no request is lost, none answered twice', async () => {
  await using server = await linkServer({
    message: (message, peer) => {
      if (message.type !== 'request') polite(message, peer);
      else setTimeout(() => peer.send('reply', message.id, { body: message.body }), 20);
    },
    post: (_, response, body) => {
      setTimeout(() => response.writeHead(200, { 'content-type': FRAME_TYPE }).end(body), 20);
    },
  });
  const transport = transportTo(server);
  await transport.warm?.();
  const answers = new Map<number, number>();
  const ways = new Set<string>();
  const cutting = setInterval(() => server.peers.at(-1)?.socket.terminate(), 150);
  const sent: Promise<void>[] = [];
  for (let n = 0; n < 200; n++) {
    sent.push(
      transport.send(bytes(n)).then(({ frame, via }) => {
        ways.add(via);
        answers.set(frame[0]!, (answers.get(frame[0]!) ?? 0) + 1);
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 12));
  }
  await Promise.all(sent);
  clearInterval(cutting);
  expect(answers.size).toBe(200);
  expect(new Set(answers.values())).toEqual(new Set([1]));
  expect(server.peers.length).toBeGreaterThan(1);
  expect(ways).toEqual(new Set(['fetch', 'websocket']));
});

test('goaway: what is under way stays, what is new goes another way, and a new link opens', async () => {
  await using server = await linkServer({
    message: (message, peer) => {
      if (message.type !== 'request' || message.body[0] !== 1) polite(message, peer);
    },
  });
  const transport = transportTo(server);
  await transport.warm?.();
  await linked(transport);
  const slow = transport.send(bytes(1));
  await until(() => requests(server).length === 1);
  const peer = server.peers[0]!;
  peer.send('goaway', 0);
  await until(() => transport.kind === 'fetch' || server.peers.length === 2);
  await transport.send(bytes(2));
  peer.send('reply', requests(server)[0]!.id, { body: bytes(100) });
  expect(await slow).toMatchObject({ frame: bytes(100), via: 'websocket' });
  await until(() => server.peers.length === 2);
  await linked(transport);
  expect((await transport.send(bytes(3))).via).toBe('websocket');
});

test('a request that hangs in fetch is also sent over a link that opens', async () => {
  let blocked = true;
  await using server = await linkServer({ blocked: () => blocked, post: () => undefined });
  const transport = transportTo(server);
  await transport.warm?.();
  const sent = transport.send(bytes(1));
  await until(() => server.posts.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  blocked = false;
  expect(await sent).toMatchObject({ frame: bytes(1), via: 'websocket' });
});

test('abort, and close of the transport, end requests wherever they are', async () => {
  await using server = await linkServer({
    message: (message, peer) => {
      if (message.type !== 'request') polite(message, peer);
    },
    post: () => undefined,
  });
  const transport = transportTo(server);
  const stop = new AbortController();
  const byFetch = transport.send(bytes(1), { signal: stop.signal });
  await linked(transport);
  const byLink = transport.send(bytes(2), { signal: stop.signal });
  const kept = transport.send(bytes(3));
  await until(() => requests(server).length === 2);
  stop.abort(new Error('enough'));
  await expect(byFetch).rejects.toThrow('enough');
  await expect(byLink).rejects.toThrow('enough');
  await until(() => server.peers[0]!.got.some(({ type }) => type === 'cancel'));
  await transport.close();
  await expect(kept).rejects.toMatchObject({ code: 'CLOSED' });
  await until(() => server.peers[0]!.socket.readyState === server.peers[0]!.socket.CLOSED);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(server.peers).toHaveLength(1);
});
