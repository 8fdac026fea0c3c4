// A session that is closed while a segment is on its way over a slow link: the connection ends, and what had come is kept.
import type { ServerResponse } from 'node:http';
import { afterAll, expect, test } from 'vitest';
import { connect } from '../index.node.ts';
import { localServer } from '../transport/localServer.fixture.ts';
import { servedTiny } from './served.fixture.ts';

const { tail, photo } = await servedTiny();
const artifacts: { range: string | undefined; response: ServerResponse; ended: boolean }[] = [];
/** The real tail, but for segments, which it sends byte by byte: the smallest would take minutes. */
const slow = await localServer(async (request, response) => {
  const answer = await fetch(`${tail.url}${request.url}`, {
    headers: { accept: request.headers.accept ?? '*/*' },
  });
  const body = Buffer.from(await answer.arrayBuffer());
  const type = answer.headers.get('content-type') ?? 'application/octet-stream';
  if (!request.url!.includes('/artifacts/')) {
    response.writeHead(answer.status, { 'content-type': type }).end(body);
    return;
  }
  const asked = { range: request.headers.range, response, ended: false };
  artifacts.push(asked);
  response.writeHead(200, { 'content-type': type, 'content-length': body.length });
  let at = 0;
  const drip = setInterval(() => response.write(body.subarray(at, ++at)), 250);
  response.on('close', () => {
    clearInterval(drip);
    asked.ended = true;
  });
});
afterAll(() => slow.close());

test('close ends the download inside the thread; another session asks for the rest', async () => {
  const open = () =>
    connect(`${slow.url}/models/tiny`, { mode: 'only-remote', transport: 'fetch', offline: false });
  const begun = async (count: number) => {
    const session = await open();
    const running = session.run(photo, { mode: 'only-local' });
    running.catch(() => undefined);
    await expect.poll(() => artifacts.length, { timeout: 20_000 }).toBe(count);
    await new Promise((resolve) => setTimeout(resolve, 600)); // two bytes or so
    return { session, running };
  };
  const { session, running } = await begun(1);
  expect(artifacts[0]!.ended).toBe(false);
  const closed = performance.now();
  await session.close();
  await expect(running).rejects.toMatchObject({ code: 'CLOSED' });
  await expect.poll(() => artifacts[0]!.ended, { timeout: 5000 }).toBe(true);
  // Not after the ten seconds that a thread is waited for.
  expect(performance.now() - closed).toBeLessThan(8000);
  expect(artifacts[0]!.range).toBeUndefined();

  const second = await begun(2);
  expect(artifacts[1]!.range).toMatch(/^bytes=[1-9]\d*-$/);
  await second.session.close();
  await expect.poll(() => artifacts[1]!.ended, { timeout: 5000 }).toBe(true);
  expect(artifacts).toHaveLength(2); // nobody tried again
});
