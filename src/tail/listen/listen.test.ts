// The socket itself: which connections a stop may cut at once.
import { expect, test } from 'vitest';
import { rawExchange } from '../testClient.fixture.ts';
import { listen } from './listen.ts';

test('a connection that asked before it sent (Expect) is in use and not cut by a stop', async () => {
  let answer = (_: Response) => {};
  const answered = new Promise<Response>((resolve) => {
    answer = resolve;
  });
  const listening = await listen(() => answered, {
    port: 0,
    host: '127.0.0.1',
    largestBody: 100,
    headersTimeoutMs: 1000,
    requestTimeoutMs: 1000,
  });
  const head = 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n';
  const exchange = rawExchange(listening.port, [`${head}Connection: close\r\n\r\n`, 'hi'], { ms: 5000 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const stopped = listening.stop(5000);
  answer(new Response('well'));
  expect(await exchange).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK.*well/s);
  await stopped;
});
