// What happens to links when the page comes back: idle ones are checked at once, and a tail that had none is asked again. The
// server is real; the browser's events are dispatched by hand, as Node has none.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { whenAwake } from './awake.ts';
import { linkServer, polite, until } from './linkServer.fixture.ts';
import { makeTransport } from './makeTransport.ts';
import type { Transport } from './transport.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);
const open: Transport[] = [];
let page: EventTarget;
let tab: EventTarget & { visibilityState: string };

beforeEach(() => {
  page = new EventTarget();
  tab = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  vi.stubGlobal('document', tab);
});
afterEach(async () => {
  for (const transport of open.splice(0)) await transport.close();
  vi.unstubAllGlobals();
});

function transportTo({ url }: { url: string }): Transport {
  const transport = makeTransport('auto', { base: url, model: `${url}/models/m` });
  open.push(transport);
  return transport;
}
const linked = (transport: Transport) => until(() => transport.kind !== 'fetch');

test('told when the network is back, when the tab is shown, when the page was restored; not otherwise, and not after', () => {
  let told = 0;
  const stop = whenAwake(() => told++);
  page.dispatchEvent(new Event('online'));
  tab.dispatchEvent(new Event('visibilitychange'));
  page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
  expect(told).toBe(3);
  tab.visibilityState = 'hidden';
  tab.dispatchEvent(new Event('visibilitychange'));
  page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: false }));
  expect(told).toBe(3);
  stop();
  tab.visibilityState = 'visible';
  for (const name of ['online', 'pageshow']) page.dispatchEvent(new Event(name));
  tab.dispatchEvent(new Event('visibilitychange'));
  expect(told).toBe(3);
});

test('a link that died while nobody used it is found out when the tab is shown again, before any request', async () => {
  let deaf = false;
  await using server = await linkServer({
    message: (message, peer) => {
      if (!deaf || peer !== server.peers[0]) polite(message, peer);
    },
  });
  const transport = transportTo(server);
  await transport.send(bytes(1));
  await linked(transport);
  const pings = (n: number) => server.peers[n]?.got.filter(({ type }) => type === 'ping').length ?? 0;
  tab.dispatchEvent(new Event('visibilitychange'));
  await until(() => pings(0) === 1); // answered: it lives
  expect((await transport.send(bytes(2))).via).toBe('websocket');
  deaf = true;
  await new Promise((resolve) => setTimeout(resolve, 50));
  tab.dispatchEvent(new Event('visibilitychange'));
  await until(() => server.peers.length === 2);
  await linked(transport);
  const sent = server.peers[0]!.got.filter(({ type }) => type === 'request').length;
  expect(await transport.send(bytes(3))).toMatchObject({ via: 'websocket', frame: bytes(3) });
  expect(server.peers[0]!.got.filter(({ type }) => type === 'request')).toHaveLength(sent);
});

test('a tail that had no links is asked again: later, seldom, and at once when the network is back', async () => {
  let has = false;
  await using server = await linkServer({
    offer: () => (has ? { version: 1, websocket: true, ticket: false } : undefined),
  });
  const asked = () => server.paths.filter((path) => path === 'GET /link').length;
  const transport = transportTo(server);
  await transport.warm?.();
  await until(() => asked() === 1);
  for (let i = 0; i < 20; i++) expect((await transport.send(bytes(i))).via).toBe('fetch');
  expect(asked()).toBe(1);
  const began = performance.now();
  await until(() => {
    void transport.send(bytes(9));
    return asked() === 2;
  });
  expect(performance.now() - began).toBeGreaterThan(400);
  has = true;
  page.dispatchEvent(new Event('online')); // the next question would have its time seconds later
  await linked(transport);
  expect(asked()).toBe(3);
  expect((await transport.send(bytes(7))).via).toBe('websocket');
});
