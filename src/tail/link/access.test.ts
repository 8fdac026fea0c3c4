// Who gets to open a link: tickets, tokens, origins and models over real WebSockets, and nothing of them in the log.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Manifest } from '../../model/manifest.ts';
import { type Message, readMessage, writeMessage } from '../../wire/message.ts';
import { readFrame } from '../../wire/readFrame.ts';
import {
  bearer,
  FIXED,
  leaked,
  newTicket,
  PAGE,
  secrets,
  sign,
  startGuarded,
  TINY_ONLY,
} from '../access.fixture.ts';
import type { TailServer } from '../index.ts';
import { createTickets } from '../operate/tickets.ts';
import { tinyFrame } from '../testModels.fixture.ts';

let tail: TailServer;
let tiny: Manifest;
let slow: Manifest;
let lines: string[];
let jwt: string;
beforeAll(async () => {
  ({ tail, tiny, slow, lines } = await startGuarded());
  jwt = await sign();
});
afterAll(() => tail.close());

interface Shake {
  origin?: string | undefined;
  headers?: Record<string, string>;
  query?: string;
}
const connect = ({ origin, headers = {}, query = '' }: Shake) =>
  new WebSocket(`${tail.url.replace('http', 'ws')}/link${query}`, 'isthmus.1', {
    headers,
    ...(origin && { origin }),
  });

/** Status of a handshake that is refused. */
function shake(options: Shake): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    socket.on('unexpected-response', (_, response) => resolve(response.resume().statusCode!));
    socket.on('open', () => reject(new Error('it was opened')));
    socket.on('error', () => undefined);
  });
}

/** The first message that comes back: a welcome, or the error of a reply. */
async function hello(
  ticket: unknown,
  options: Shake = {},
  more: Uint8Array[] = [],
): Promise<Message & { code?: string }> {
  const socket = connect(options);
  socket.binaryType = 'nodebuffer';
  const messages: Message[] = [];
  const wanted = 1 + more.length;
  await new Promise<void>((resolve, reject) => {
    socket.on('open', () => {
      const body = new TextEncoder().encode(JSON.stringify({ version: 1, ticket }));
      socket.send(writeMessage('hello', 0, { body }));
      for (const message of more) socket.send(message);
    });
    socket.on('message', (data: Buffer) => {
      messages.push(readMessage(new Uint8Array(data)));
      const refused = messages[0]!.type !== 'welcome';
      if (refused || messages.length === wanted) resolve();
    });
    socket.on('close', () => resolve());
    socket.on('error', reject);
  });
  socket.close();
  const last = messages.at(-1)!;
  const code = last.type === 'reply' ? readFrame(last.body).meta.error?.code : undefined;
  return { ...last, ...(code && { code }) };
}

const changed = (ticket: string) => ticket.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
test.each<[string, () => unknown]>([
  ['no ticket', () => undefined],
  ['an empty ticket', () => ''],
  [
    'a made up ticket',
    () =>
      `${Buffer.from(JSON.stringify(['shop', Date.now() + 9000, 'x'])).toString('base64url')}.${'A'.repeat(43)}`,
  ],
  ['a changed ticket', () => changed(newTicket())],
  ['half a ticket', () => newTicket().split('.')[0]],
  ['a ticket of another tail', () => createTickets('another secret'.repeat(3)).issue('shop').ticket],
  ['an expired ticket', () => newTicket('shop', () => Date.now() - 30_001)],
  ['a token', () => FIXED],
  ['a JWT', () => jwt],
])('a link is refused with %s', async (_, ticket) => {
  expect(await hello(ticket())).toMatchObject({ type: 'reply', id: 0, code: 'UNAUTHENTICATED' });
});

test('a ticket from POST /tickets opens one link, and not a second', async () => {
  const response = await fetch(`${tail.url}/tickets`, { method: 'POST', headers: bearer(jwt) });
  const { ticket, expiresInMs } = (await response.json()) as { ticket: string; expiresInMs: number };
  secrets.add(ticket);
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(expiresInMs).toBe(30_000);
  expect(await hello(ticket)).toMatchObject({ type: 'welcome' });
  expect(await hello(ticket)).toMatchObject({ type: 'reply', code: 'UNAUTHENTICATED' });
  expect(await hello(undefined, { query: `?ticket=${newTicket()}` })).toMatchObject({
    code: 'UNAUTHENTICATED',
  });
});

test('a program opens a link with its token; a wrong one is refused at the handshake', async () => {
  expect(await hello(undefined, { headers: bearer(FIXED) })).toMatchObject({ type: 'welcome' });
  expect(await shake({ headers: bearer('x'.repeat(30)) })).toBe(401);
});

test('a link is for the models of its subject', async () => {
  const request = (manifest: Manifest) => [writeMessage('request', 1, { body: tinyFrame(manifest) })];
  const bound = { headers: bearer(TINY_ONLY) };
  const refused = await hello(undefined, bound, request(slow));
  expect(refused).toMatchObject({ type: 'reply', id: 1, code: 'FORBIDDEN' });
  const answered = await hello(undefined, bound, request(tiny));
  expect([answered.type, answered.code]).toEqual(['reply', undefined]);
  const byTicket = await hello(newTicket('lab\ntiny'), {}, request(slow));
  expect(byTicket).toMatchObject({ type: 'reply', id: 1, code: 'FORBIDDEN' });
});

test.each(['https://evil.example', 'null', 'http://app.example', 'https://app.example.evil.example'])(
  'a page of %s is refused at the handshake, whatever it has',
  async (origin) => {
    expect(await shake({ origin })).toBe(403);
    expect(await shake({ origin, headers: bearer(FIXED) })).toBe(403);
  },
);

test('pages of the list and of this host are let in', async () => {
  for (const origin of [PAGE, tail.url])
    expect(await hello(newTicket(), { origin })).toMatchObject({ type: 'welcome' });
});

test('no log line holds a token or a ticket, and lines say whose a request was', () => {
  expect(leaked([...lines, FIXED])).toContain(FIXED);
  expect(leaked(lines)).toEqual([]);
  expect(lines.join('')).toMatch(/"transport":"websocket".*"subject":"lab"/);
});
