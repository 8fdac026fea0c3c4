// Under which names a tail answers: a page whose name has been pointed at this machine must not read what it has.
import { once } from 'node:events';
import { request } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createGate, type TailServer } from '../index.ts';
import { testModels } from '../testModels.fixture.ts';
import { testTails } from '../testTails.fixture.ts';
import { hostCheck, usualHosts } from './hosts.ts';

const { dir } = await testModels();
const { start, end } = testTails({ models: dir });
afterEach(end);

/** Status and error code of a request with this `Host`, as the browser of a rebound page sends it. */
async function ask({ port }: TailServer, host: string, path: string, more: Record<string, string> = {}) {
  const sent = request({ port, host: '127.0.0.1', path, headers: { host, ...more } });
  sent.end();
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return [response.statusCode, /"code":"(\w+)"/.exec(text)?.[1]];
}

async function upgrade({ port }: TailServer, host: string): Promise<string> {
  const headers = { host, origin: `http://${host}` };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/link`, 'isthmus.1', { headers });
  const outcome = await new Promise<string>((resolve) => {
    socket.on('open', () => resolve('open'));
    socket.on('error', (error) => resolve(error.message));
  });
  socket.terminate();
  return outcome;
}

test('names with and without port, brackets, case and a dot at the end', () => {
  const check = hostCheck(['tail.example', '.Apps.example']);
  const passing = [
    'localhost',
    'localhost:8787',
    'a.localhost',
    '127.0.0.1:1',
    '[::1]:8787',
    '10.0.0.7',
    'TAIL.example.',
  ];
  for (const host of [...passing, 'tail.example:443', 'a.b.apps.example', undefined])
    expect(check(host), host).toBe(true);
  for (const host of [
    'evil.example',
    'apps.example',
    'xtail.example',
    'tail.example.evil',
    '127.0.0.1.evil.example',
    'localhost.evil',
    'a b',
  ])
    expect(check(host), host).toBe(false);
  expect(hostCheck(undefined)('evil.example')).toBe(true);
  expect(hostCheck(['*'])('evil.example')).toBe(true);
  for (const wrong of ['https://tail.example', 'tail.example:443', 'a b', ''])
    expect(() => hostCheck([wrong]), wrong).toThrow(/is no name of a host/);
});

test('only a tail of this machine is bound to its names unless told otherwise', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) expect(usualHosts(host)).toEqual([]);
  for (const host of ['0.0.0.0', '::', '10.0.0.7', 'tail.example']) expect(usualHosts(host)).toBeUndefined();
});

test('a name that was pointed at this machine gets nothing but health, over HTTP and WebSocket', async () => {
  const tail = await start();
  const rebound = `evil.example:${tail.port}`;
  for (const path of ['/models', '/metrics', '/link', '/v2', '/models/tiny/manifest.json'])
    expect([path, ...(await ask(tail, rebound, path))]).toEqual([path, 403, 'FORBIDDEN']);
  // What its browser would send along: for the browser it is the page's own origin.
  const own = { origin: `http://${rebound}`, 'sec-fetch-site': 'same-origin' };
  expect(await ask(tail, rebound, '/models', own)).toEqual([403, 'FORBIDDEN']);
  expect(await upgrade(tail, rebound)).toContain('403');
  for (const path of ['/healthz', '/readyz', '/v2/health/live', '/v2/health/ready'])
    expect([path, (await ask(tail, rebound, path))[0]]).toEqual([path, 200]);
  const local = `localhost:${tail.port}`;
  expect((await ask(tail, local, '/models'))[0]).toBe(200);
  expect(await upgrade(tail, local)).toBe('open');
});

test('names on the list pass, and the list can be exchanged', async () => {
  const gate = await createGate({ hosts: ['tail.example'] });
  const tail = await start({ gate });
  expect((await ask(tail, 'tail.example', '/models'))[0]).toBe(200);
  expect(await upgrade(tail, 'tail.example')).toBe('open');
  expect((await ask(tail, 'other.example', '/models'))[0]).toBe(403);
  await gate.reload({ hosts: ['other.example'] });
  expect((await ask(tail, 'tail.example', '/models'))[0]).toBe(403);
  expect((await ask(tail, 'other.example', '/models'))[0]).toBe(200);
});
