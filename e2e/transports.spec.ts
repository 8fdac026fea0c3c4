// Every transport in real Chromium against the real tail: the same answer over fetch, WebSocket, WebTransport streams and
// datagrams; datagrams on a link that loses packets; and links that are blocked.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, type Page } from '@playwright/test';
import type { ConnectOptions } from '../src/client/types.ts';
import { HEALTHY } from './faults/link.ts';
import { type TcpProxy, tcpProxy } from './faults/tcpProxy.ts';
import { type UdpProxy, udpProxy } from './faults/udpProxy.ts';
import { test as base, fleetTail, type Globals, openPage, pictures } from './fixtures.ts';

interface Secure {
  /** The tail's own port: TLS, HTTP/2, WebTransport. */
  port: number;
  tcp: TcpProxy;
  udp: UdpProxy;
}

/** A tail with a development certificate, behind a TCP and a UDP proxy on one port number. */
const test = base.extend<object, { secure: Secure }>({
  secure: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern
    async ({}, use) => {
      const certificate = await mkdtemp(join(tmpdir(), 'isthmus-certificate-'));
      {
        await using tail = await fleetTail(undefined, ['--dev-cert', certificate]);
        const port = Number(new URL(tail.url).port);
        await using tcp = await tcpProxy(port);
        await using udp = await udpProxy(port, { port: tcp.port });
        await use({ port, tcp, udp });
      }
      await rm(certificate, { recursive: true });
    },
    { scope: 'worker', timeout: 120_000 },
  ],
});

test.afterEach(({ secure }) => {
  secure.tcp.set(HEALTHY);
  secure.udp.set(HEALTHY);
});

interface Ran {
  transport: string | undefined;
  ran: string;
  logits: number[];
  /** Milliseconds from `connect` to the answer. */
  ms: number;
  bytesUp: number;
}

/** Opens the page, connects, runs the picture so often, closes. */
async function runs(
  page: Page,
  origin: string,
  options: Pick<ConnectOptions, 'transport' | 'datagrams'>,
  count: number,
  settle = 0,
): Promise<Ran[]> {
  const [picture] = await pictures('imagenette', 1);
  await openPage(page, origin);
  return page.evaluate(
    async ([url, photo, given, n, wait]) => {
      const { isthmus } = globalThis as unknown as Globals;
      const blob = new Blob([Uint8Array.from(atob(photo), (c) => c.charCodeAt(0))]);
      const began = performance.now();
      const session = await isthmus.connect(url, {
        device: 'wasm',
        mode: 'only-split',
        cut: 'neck0',
        ...given,
      });
      const results = [];
      for (let i = 0; i < n; i++) {
        const { outputs, report } = await session.run(blob, { codec: 'slicer' });
        results.push({
          transport: report.transport,
          ran: report.ran,
          logits: Array.from(Object.values(outputs)[0]!.data as Float32Array),
          ms: performance.now() - began,
          bytesUp: report.bytes.up,
        });
        if (wait) await new Promise((resolve) => setTimeout(resolve, wait));
      }
      await session.close();
      return results;
    },
    [`${origin}/models/neck10`, picture!.bytes.toString('base64'), options, count, settle] as const,
  );
}

const through = ({ tcp }: Secure) => `http://127.0.0.1:${tcp.port}`;

test('fetch, WebSocket, WebTransport streams and datagrams give the same answer', async ({
  page,
  secure,
}) => {
  const [first] = await runs(page, through(secure), { transport: 'fetch' }, 1);
  expect(first).toMatchObject({ transport: 'fetch', ran: 'split' });
  for (const [transport, datagrams] of [
    ['websocket', 'auto'],
    ['webtransport', 'never'],
    ['webtransport', 'always'],
  ] as const) {
    const answers = await runs(page, through(secure), { transport, datagrams }, 5);
    for (const answer of answers) {
      expect(answer).toMatchObject({ transport, ran: 'split' });
      expect(answer.logits).toEqual(first!.logits);
    }
  }
});

test('a page over TLS: HTTP/2 by ALPN, and a secure WebSocket', async ({ browser, secure }) => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const [answer] = await runs(page, `https://localhost:${secure.port}`, { transport: 'websocket' }, 1);
  expect(answer).toMatchObject({ transport: 'websocket', ran: 'split' });
  const protocols = await page.evaluate(() =>
    (performance.getEntriesByType('resource') as PerformanceResourceTiming[])
      .filter((r) => r.name.includes('/artifacts/') || r.name.includes('/models/'))
      .map((r) => r.nextHopProtocol),
  );
  expect(new Set(protocols)).toEqual(new Set(['h2']));
  await context.close();
});

test('auto opens WebTransport where it is offered', async ({ page, secure }) => {
  const answers = await runs(page, through(secure), { transport: 'auto' }, 6, 150);
  expect(answers.at(-1)).toMatchObject({ transport: 'webtransport', ran: 'split' });
});

test('datagrams on a link that loses packets: every answer comes, and the right one', async ({
  page,
  secure,
}) => {
  const [first] = await runs(page, through(secure), { transport: 'fetch' }, 1);
  secure.udp.set({ loss: 0.05, latencyMs: 5 });
  const before = { ...secure.udp.packets };
  const answers = await runs(page, through(secure), { transport: 'webtransport', datagrams: 'always' }, 40);
  expect(answers).toHaveLength(40);
  for (const answer of answers) {
    expect(answer.transport).toBe('webtransport');
    expect(answer.logits).toEqual(first!.logits);
  }
  const lost = secure.udp.packets.lost - before.lost;
  console.log(
    `datagrams: 40 of 40 answered, ${lost} packets lost, ${secure.udp.packets.passed - before.passed} passed`,
  );
  expect(lost).toBeGreaterThan(5);
});

test('WebTransport blocked: the first answer comes within two seconds of a link that is not, by another way', async ({
  page,
  secure,
}) => {
  const [good] = await runs(page, through(secure), { transport: 'auto' }, 1);
  secure.udp.set({ blackhole: true });
  const context = await page.context().browser()!.newContext(); // knows nothing of what worked before
  const fresh = await context.newPage();
  const answers = await runs(fresh, through(secure), { transport: 'auto' }, 8, 300);
  console.log(
    `first answer after ${good!.ms.toFixed(0)} ms; WebTransport blocked: ${answers[0]!.ms.toFixed(0)} ms`,
  );
  expect(answers[0]!.ms).toBeLessThan(good!.ms + 2000);
  expect(answers[0]!.transport).not.toBe('webtransport');
  expect(answers.at(-1)!.transport).toBe('websocket');
  await context.close();
});

test('WebTransport and WebSocket blocked: fetch carries everything', async ({ browser, secure }) => {
  secure.udp.set({ blackhole: true });
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.routeWebSocket(/\/link$/, (socket) => socket.close());
  const answers = await runs(page, through(secure), { transport: 'auto' }, 4, 300);
  for (const answer of answers) expect(answer).toMatchObject({ transport: 'fetch', ran: 'split' });
  await context.close();
});
