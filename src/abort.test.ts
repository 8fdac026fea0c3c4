// Signals that outlive what was made of them, as a session's outlives its runs, in browsers without AbortSignal.any too.
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { anySignal } from './abort.ts';
import { download } from './head/store/download.ts';
import { fetchTransport } from './transport/fetch.ts';
import { localServer } from './transport/localServer.fixture.ts';

const { any } = AbortSignal;
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

describe.each(['with', 'without'])('%s AbortSignal.any', (how) => {
  beforeEach(() => {
    if (how === 'without') Reflect.deleteProperty(AbortSignal, 'any');
  });
  afterEach(() => {
    AbortSignal.any = any;
  });

  test('whichever fires gives the reason, before or after', () => {
    const [a, b] = [new AbortController(), new AbortController()];
    const both = anySignal(a.signal, b.signal);
    expect(both.aborted).toBe(false);
    b.abort('b');
    expect(both.reason).toBe('b');
    expect(anySignal(a.signal, b.signal).reason).toBe('b');
  });

  test('downloads and requests leave nothing behind on a signal that lives on', async () => {
    const living = new AbortController();
    const file = new Uint8Array(1000).fill(7);
    await using server = await localServer((request, response) => {
      if (request.method === 'GET') response.end(file);
      else response.writeHead(503).end();
    });
    for (let i = 0; i < 3; i++) {
      const options = { fetch, have: [], signal: living.signal };
      await download({ url: `${server.url}/file`, bytes: file.length }, options);
      await expect(
        fetchTransport(`${server.url}/models/m`).send(file, { signal: living.signal }),
      ).rejects.toMatchObject({ code: 'OFFLINE' });
    }
    expect(listeners(living.signal)).toBe(0);
  });
});
