// Links over real WebSockets: many requests at once, cancels, limits, and every way a server can fail them.
import { expect, test } from 'vitest';
import type { Message } from '../wire/message.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { json, linkServer, type Peer, polite, until, WELCOME } from './linkServer.fixture.ts';
import { openLink } from './openLink.ts';
import { webSocketChannel } from './websocket.ts';

const NEVER = new AbortController().signal;
const bytes = (...values: number[]) => Uint8Array.from(values);
const requests = (peer: Peer) => peer.got.filter(({ type }) => type === 'request');

async function linkTo(server: { url: string }, onEnd?: (reason: string) => void) {
  const options = { hello: { version: 1, ticket: 'once' } as const, ...(onEnd && { onEnd }) };
  return openLink(webSocketChannel(`${server.url}/link`), options, NEVER);
}

/** A good server but for what `odd` handles. */
const but = (odd: (message: Message, peer: Peer) => boolean) => (message: Message, peer: Peer) => {
  if (!odd(message, peer)) polite(message, peer);
};

test('hello with the ticket, then requests with deadline and urgency', async () => {
  await using server = await linkServer();
  const link = await linkTo(server);
  const delivery = await link.send(bytes(1, 2, 3), { deadlineMs: 250, urgency: 1 });
  expect(delivery).toMatchObject({ frame: bytes(1, 2, 3), via: 'websocket', bytesUp: 3, bytesDown: 3 });
  expect(delivery.timings.firstByte).toBeGreaterThan(0);
  await link.send(bytes(4));
  const [hello, first, second] = server.peers[0]!.got;
  expect(hello!.type).toBe('hello');
  expect(JSON.parse(new TextDecoder().decode(hello!.body))).toEqual({ version: 1, ticket: 'once' });
  expect(first).toMatchObject({ type: 'request', urgency: 1, id: 1 });
  expect(first!.deadlineMs).toBeGreaterThan(0);
  expect(first!.deadlineMs).toBeLessThanOrEqual(250);
  expect(second).toMatchObject({ urgency: 3, deadlineMs: 0, id: 2 });
  link.close();
  await expect(link.send(bytes(5))).rejects.toMatchObject({ code: 'OFFLINE' });
});

test('replies come in any order, several for one request, twice, and for nobody', async () => {
  await using server = await linkServer({
    message: but((message, peer) => {
      if (message.type !== 'request') return false;
      if (requests(peer).length < 3) return true;
      const [a, b, c] = requests(peer);
      peer.send('reply', 99, { body: bytes(0) });
      peer.send('reply', c!.id, { body: bytes(31), more: true });
      peer.send('reply', b!.id, { body: bytes(2) });
      peer.send('reply', b!.id, { body: bytes(200) });
      peer.send('reply', c!.id, { body: bytes(32) });
      peer.send('reply', c!.id, { body: bytes(33) });
      peer.send('reply', a!.id, { body: bytes(1) });
      return true;
    }),
  });
  const link = await linkTo(server);
  const early: Uint8Array[] = [];
  const order: number[] = [];
  const answers = await Promise.all(
    [bytes(10), bytes(20), bytes(30)].map(async (frame) => {
      const { frame: reply, bytesDown } = await link.send(frame, { onReply: (r) => early.push(r) });
      order.push(reply[0]!);
      return [reply, bytesDown];
    }),
  );
  expect(answers).toEqual([
    [bytes(1), 1],
    [bytes(2), 1],
    [bytes(32), 2],
  ]);
  expect(order).toEqual([2, 32, 1]);
  expect(early).toEqual([bytes(31)]);
  link.close();
});

test('an abort rejects at once with its reason, and the tail hears of it', async () => {
  await using server = await linkServer({ message: but(({ type }) => type === 'request') });
  const link = await linkTo(server);
  const stop = new AbortController();
  const sent = link.send(bytes(1), { signal: stop.signal });
  await until(() => requests(server.peers[0]!).length === 1);
  const aborted = performance.now();
  stop.abort(new Error('enough'));
  await expect(sent).rejects.toThrow('enough');
  expect(performance.now() - aborted).toBeLessThan(50);
  await until(() => server.peers[0]!.got.some(({ type, id }) => type === 'cancel' && id === 1));
  expect(performance.now() - aborted).toBeLessThan(400); // a few milliseconds; this machine may be busy
  server.peers[0]!.send('reply', 1, { body: bytes(1) }); // too late: nobody is told
  await expect(link.send(bytes(2), { signal: stop.signal })).rejects.toThrow('enough');
  expect(link.accepting).toBe(true);
  link.close();
});

test('no more under way than the tail allows; the urgent ones go first, those given up never', async () => {
  await using server = await linkServer({ message: but(({ type }) => type === 'request') });
  const link = await linkTo(server);
  const peer = server.peers[0]!;
  const stop = new AbortController();
  const under = [1, 2, 3, 4].map((n) => link.send(bytes(n)));
  const waiting = [
    link.send(bytes(5), { urgency: 5 }),
    link.send(bytes(6)),
    link.send(bytes(7), { signal: stop.signal }),
    link.send(bytes(8), { urgency: 1, deadlineMs: 5000 }),
    link.send(bytes(9)),
  ];
  stop.abort();
  await expect(waiting[2]).rejects.toMatchObject({ name: 'AbortError' });
  await until(() => requests(peer).length === 4);
  await new Promise((resolve) => setTimeout(resolve, 60));
  for (let n = 0; n < 8; n++) {
    await until(() => requests(peer).length > n);
    expect(requests(peer).length).toBeLessThanOrEqual(n + 4);
    peer.send('reply', requests(peer)[n]!.id, { body: requests(peer)[n]!.body });
  }
  await Promise.all([...under, ...waiting.filter((_, i) => i !== 2)]);
  expect(requests(peer).map(({ body }) => body[0])).toEqual([1, 2, 3, 4, 8, 6, 9, 5]);
  // The deadline is told as what is left of it when the request leaves.
  expect(requests(peer)[4]!.deadlineMs).toBeLessThanOrEqual(5000 - 50);
  expect(peer.got.filter(({ type }) => type === 'cancel')).toEqual([]);
  link.close();
});

test('a tail that is slow but answers pings is waited for; one that is silent is given up', async () => {
  let deaf = false;
  await using server = await linkServer({
    message: but(({ type }) => type === 'request' || (deaf && type === 'ping')),
  });
  let ended = '';
  const link = await linkTo(server, (reason) => {
    ended = reason;
  });
  const peer = server.peers[0]!;
  const slow = link.send(bytes(1));
  await until(() => peer.got.filter(({ type }) => type === 'ping').length >= 3);
  peer.send('reply', 1, { body: bytes(7) });
  expect((await slow).frame).toEqual(bytes(7));
  const pings = peer.got.length;
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(peer.got.length).toBe(pings); // nobody waits, so nobody asks
  deaf = true;
  const asked = performance.now();
  await expect(link.send(bytes(2))).rejects.toMatchObject({ code: 'OFFLINE' });
  expect(performance.now() - asked).toBeGreaterThan(900);
  expect(performance.now() - asked).toBeLessThan(3000);
  expect(ended).toMatch(/does not answer/);
  expect(link.accepting).toBe(false);
});

test('goaway: what is under way is finished, what waits and what is new is not taken', async () => {
  await using server = await linkServer({ message: but(({ type }) => type === 'request') });
  const ended: string[] = [];
  const link = await linkTo(server, (reason) => ended.push(reason));
  const peer = server.peers[0]!;
  const under = [1, 2, 3, 4].map((n) => link.send(bytes(n)));
  const queued = link.send(bytes(5));
  await until(() => requests(peer).length === 4);
  peer.send('goaway', 0);
  await expect(queued).rejects.toMatchObject({ code: 'OFFLINE' });
  await expect(link.send(bytes(6))).rejects.toMatchObject({ code: 'OFFLINE' });
  for (const { id, body } of requests(peer)) peer.send('reply', id, { body });
  expect((await Promise.all(under)).map(({ frame }) => frame[0])).toEqual([1, 2, 3, 4]);
  await until(() => peer.socket.readyState === peer.socket.CLOSED);
  expect(ended).toHaveLength(1);
});

test('a link that breaks fails what it carried with OFFLINE: cut, text, damaged bytes, an error for id 0', async () => {
  const error = { code: 'RATE_LIMITED', message: 'Too many links.' };
  const frame = writeFrame({
    kind: 'error',
    modelTag: '0'.repeat(16),
    cut: 0xffff,
    meta: { error },
    tensors: [],
  });
  const ways: [string, (peer: Peer) => void][] = [
    ['code 1006', ({ socket }) => socket.terminate()],
    ['text message', ({ socket }) => socket.send('hello')],
    ['no message', ({ socket }) => socket.send(bytes(1, 2, 3))],
    ['Too many links', (peer) => peer.send('reply', 0, { body: frame })],
  ];
  for (const [words, odd] of ways) {
    await using server = await linkServer({
      message: but(({ type }, peer) => {
        if (type === 'request') odd(peer);
        return type === 'request';
      }),
    });
    const link = await linkTo(server);
    const failing = link.send(bytes(1));
    await expect(failing, words).rejects.toMatchObject({
      code: 'OFFLINE',
      message: expect.stringContaining(words),
    });
  }
});

test('a link that does not open says why: refused, nonsense, silence, another server', async () => {
  const refuse = { code: 'UNAUTHENTICATED', message: 'This ticket was used.' };
  const frame = writeFrame({
    kind: 'error',
    modelTag: '0'.repeat(16),
    cut: 0xffff,
    meta: { error: refuse },
    tensors: [],
  });
  const opened = async (message: (message: Message, peer: Peer) => void) => {
    await using server = await linkServer({ message });
    return await linkTo(server).then(
      () => 'open',
      ({ code }) => code,
    );
  };
  expect(await opened((_, peer) => peer.send('reply', 0, { body: frame }))).toBe('UNAUTHENTICATED');
  expect(await opened((_, peer) => peer.send('welcome', 0, { body: bytes(123) }))).toBe('NOT_ISTHMUS');
  expect(await opened((_, peer) => peer.send('welcome', 0, json({ ...WELCOME, inFlight: 0 })))).toBe(
    'NOT_ISTHMUS',
  );
  expect(await opened((_, peer) => peer.socket.close(1011, 'no'))).toBe('OFFLINE');
  expect(await opened((_, peer) => peer.socket.send('hi'))).toBe('OFFLINE');
  await using blocked = await linkServer({ blocked: () => true });
  await expect(linkTo(blocked)).rejects.toMatchObject({ code: 'OFFLINE' });
  await using silent = await linkServer({ message: () => undefined });
  const stop = new AbortController();
  const opening = openLink(webSocketChannel(`${silent.url}/link`), { hello: { version: 1 } }, stop.signal);
  await until(() => silent.peers.length === 1);
  stop.abort(new Error('too slow'));
  await expect(opening).rejects.toThrow('too slow');
  await until(() => silent.peers[0]!.socket.readyState === silent.peers[0]!.socket.CLOSED);
});

test('a frame above the limit of the tail is refused here', async () => {
  await using server = await linkServer();
  const link = await linkTo(server);
  await expect(link.send(new Uint8Array(1_000_001 - 16))).rejects.toMatchObject({ code: 'TOO_LARGE' });
  expect((await link.send(new Uint8Array(1_000_000 - 16))).bytesUp).toBe(1_000_000 - 16);
  link.close();
});
