// Downloads over real sockets that break: a real tail behind a proxy that cuts the connection, and servers that damage, refuse or
// cannot resume. The store in the browser is the same code; modelStore.gpu.test.ts tests it there.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { HEALTHY } from '../../../e2e/faults/link.ts';
import { type TcpProxy, tcpProxy } from '../../../e2e/faults/tcpProxy.ts';
import type { SegmentRequest } from '../store/modelStore.ts';
import { nodeModelStore } from './nodeStore.ts';

const BYTES = 3_000_000;
const file = Buffer.alloc(BYTES);
for (let i = 0, x = 1; i < BYTES; i++) {
  x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
  file[i] = x >>> 24;
}
const sha256 = createHash('sha256').update(file).digest('hex');
const ETAG = `"${sha256}"`;

interface Asked {
  range: string | undefined;
  ifRange: string | undefined;
}
let asked: Asked[] = [];
/** Answers as a tail does, unless a test has something else in mind. */
let answer: (request: IncomingMessage, response: ServerResponse) => void;
const server = createServer((request, response) => {
  asked.push({ range: request.headers.range, ifRange: request.headers['if-range'] as string | undefined });
  answer(request, response);
});
let proxy: TcpProxy;
let folder: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy = await tcpProxy((server.address() as AddressInfo).port);
  folder = await mkdtemp(join(tmpdir(), 'isthmus-download-'));
});
afterEach(async () => {
  proxy.set(HEALTHY);
  await rm(folder, { recursive: true, force: true });
  asked = [];
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function ranges(request: IncomingMessage, response: ServerResponse, content = file, etag = ETAG): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const part = from > 0 && [undefined, etag].includes(request.headers['if-range'] as string | undefined);
  const body = part ? content.subarray(from) : content;
  response.writeHead(part ? 206 : 200, {
    'content-length': body.length,
    connection: 'close',
    etag,
    ...(part && { 'content-range': `bytes ${from}-${BYTES - 1}/${BYTES}` }),
  });
  response.end(body);
}

const request = (): SegmentRequest => ({
  artifacts: `http://127.0.0.1:${proxy.port}/artifacts`,
  sha256,
  bytes: BYTES,
});

/** A reset takes with it what was not read yet: on a link of this speed that is little. */
const PACED = { bytesPerSecond: 10_000_000 };

test('a connection that is cut twice goes on where it stopped, in the same load', async () => {
  proxy.set(PACED);
  const cuts = [1_000_000, 700_000];
  answer = (...given) => {
    const next = cuts.shift();
    if (next) proxy.cutAfter(next);
    ranges(...given);
  };
  const progress: number[] = [];
  const bytes = await nodeModelStore(folder).get(request(), (n) => progress.push(n));
  expect(Buffer.compare(bytes, file)).toBe(0);
  expect(asked).toHaveLength(3);
  expect(asked[0]).toEqual({ range: undefined, ifRange: undefined });
  const starts = asked.slice(1).map(({ range, ifRange }) => {
    expect(ifRange).toBe(ETAG);
    return Number(/^bytes=(\d+)-$/.exec(range!)![1]);
  });
  expect(starts[0]).toBeGreaterThan(0);
  expect(starts[1]).toBeGreaterThan(starts[0]!);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(progress.at(-1)).toBe(BYTES);
});

test('a server that has another file by now starts it anew, and progress does not run backwards', async () => {
  proxy.set(PACED);
  let cuts = 1;
  answer = (question, response) => {
    if (cuts-- > 0) {
      proxy.cutAfter(1_500_000);
      return ranges(question, response, file, '"another"');
    }
    ranges(question, response);
  };
  const progress: number[] = [];
  const bytes = await nodeModelStore(folder).get(request(), (n) => progress.push(n));
  expect(Buffer.compare(bytes, file)).toBe(0);
  expect(asked[1]!.ifRange).toBe('"another"'); // answered 200, from the first byte
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
});

test('a tail that is gone is asked three more times; what had come is kept for the next load', async () => {
  proxy.set(PACED);
  answer = (...given) => {
    proxy.cutAfter(2_500_000);
    ranges(...given);
    proxy.set({ refuse: true }); // for connections after this one
  };
  const opened = proxy.opened;
  await expect(nodeModelStore(folder).get(request())).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: expect.stringContaining('goes on where it stopped'),
  });
  expect(proxy.opened - opened).toBe(1 + 3);
  proxy.set(HEALTHY);
  answer = ranges;
  const progress: number[] = [];
  const bytes = await nodeModelStore(folder).get(request(), (n) => progress.push(n));
  expect(Buffer.compare(bytes, file)).toBe(0);
  expect(progress[0]).toBeGreaterThan(0);
  expect(asked[1]!.range).toBe(`bytes=${progress[0]}-`);
  expect(asked).toHaveLength(2);
});

test('abort ends it at once, in the middle of a body and between two tries', async () => {
  for (const [refuse, reason] of [
    [false, new Error('enough of the body')],
    [true, new Error('enough of trying')],
  ] as const) {
    await rm(folder, { recursive: true, force: true });
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': BYTES });
      response.write(file.subarray(0, 100_000));
      if (refuse) setTimeout(() => response.destroy(), 20);
    };
    const controller = new AbortController();
    const before = asked.length;
    const loading = nodeModelStore(folder).get(request(), undefined, controller.signal);
    loading.catch(() => undefined);
    await expect.poll(() => asked.length).toBeGreaterThan(before);
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort(reason);
    const began = performance.now();
    await expect(loading).rejects.toBe(reason);
    expect(performance.now() - began).toBeLessThan(1000);
  }
});

test('a tail at its limit is asked again when it says', async () => {
  const times: number[] = [];
  answer = (question, response) => {
    times.push(performance.now());
    if (times.length > 1) return ranges(question, response);
    response.writeHead(429, { 'retry-after': '1' }).end();
  };
  expect(Buffer.compare(await nodeModelStore(folder).get(request()), file)).toBe(0);
  expect(times).toHaveLength(2);
  expect(times[1]! - times[0]!).toBeGreaterThan(950);
});

test('a bit that flips on the way costs a second download past every cache, never a wrong model', async () => {
  answer = ranges;
  proxy.flipAt(1_234_567);
  const bytes = await nodeModelStore(folder).get(request());
  expect(Buffer.compare(bytes, file)).toBe(0);
  expect(asked.map(({ range }) => range)).toEqual([undefined, undefined]);
});
