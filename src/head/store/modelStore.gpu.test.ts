// The model store in a real browser with real IndexedDB. Faults are injected where the network begins, in `fetch`; one
// test downloads over real HTTP with a real Range request.
import { createStore, get, set, type UseStore } from 'idb-keyval';
import { beforeAll, expect, test } from 'vitest';
import { commands } from 'vitest/browser';
import { IsthmusError } from '../../errors.ts';
import { sha256Hex } from '../../model/manifest.ts';
import { noise } from '../tinyModel.fixture.ts';
import { ModelStore, type SegmentRequest } from './modelStore.ts';
import { createSafeStore, type SafeStore } from './safeStore.ts';
import { SegmentCache } from './segmentCache.ts';

const FOLDER = 'node_modules/.cache/isthmus-store-test';
const BYTES = 300_000;
const file = new Uint8Array(noise(BYTES / 4).buffer);
const sha256 = await sha256Hex(file);
const request: SegmentRequest = { artifacts: 'https://tail.example/artifacts', sha256, bytes: BYTES };

let databases = 0;
const freshStore = () => createSafeStore(`isthmus-test-${Date.now()}-${databases++}`);
const freshCache = () => new SegmentCache(undefined, freshStore());

/** One answer per request, in order; a request too many fails the test. Records what was asked for. */
function network(
  ...answers: ((range: string | undefined, init: RequestInit) => Response | Promise<Response>)[]
) {
  const asked: { range: string | undefined; cache: RequestCache | undefined }[] = [];
  const fetch: typeof globalThis.fetch = async (_, init = {}) => {
    const range = new Headers(init.headers).get('range') ?? undefined;
    const answer = answers[asked.length];
    asked.push({ range, cache: init.cache });
    if (!answer) throw new Error(`unexpected request ${asked.length}`);
    return answer(range, init);
  };
  return { fetch, asked };
}

const whole = () => new Response(file);
const part =
  (from: number, to = BYTES) =>
  () =>
    new Response(file.slice(from, to), {
      status: 206,
      headers: { 'content-range': `bytes ${from}-${to - 1}/${BYTES}` },
    });
/** Sends `count` bytes of the file from `from`, then breaks the connection. */
const broken =
  (count: number, from = 0) =>
  () =>
    new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue(file.slice(from, from + count));
          await new Promise((resolve) => setTimeout(resolve, 20)); // an error at once would swallow the bytes
          controller.error(new TypeError('network error'));
        },
      }),
      from > 0 ? { status: 206, headers: { 'content-range': `bytes ${from}-${BYTES - 1}/${BYTES}` } } : {},
    );

async function failure(promise: Promise<unknown>): Promise<IsthmusError> {
  const thrown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(thrown).toBeInstanceOf(IsthmusError);
  return thrown as IsthmusError;
}
const storeOn = (fetch: typeof globalThis.fetch, cache = freshCache()) =>
  new ModelStore({ fetch, cache, backoffMs: 1 });

test('downloads once with progress, then takes the kept copy', async () => {
  const { fetch, asked } = network(whole);
  const cache = freshCache();
  const progress: number[] = [];
  expect(await storeOn(fetch, cache).get(request, (n) => progress.push(n))).toEqual(file);
  expect(progress[0]).toBe(0);
  expect(progress.at(-1)).toBe(BYTES);
  expect(await storeOn(fetch, cache).get(request)).toEqual(file);
  expect(asked.length).toBe(1);
});

test('a broken download goes on where it stopped', async () => {
  const { fetch, asked } = network(broken(100_000), broken(50_000, 100_000), part(150_000));
  expect(await storeOn(fetch).get(request)).toEqual(file);
  expect(asked.map((a) => a.range)).toEqual([undefined, 'bytes=100000-', 'bytes=150000-']);
});

test('a connection that ends early without an error counts as broken', async () => {
  const { fetch, asked } = network(() => new Response(file.slice(0, 70_000)), part(70_000));
  expect(await storeOn(fetch).get(request)).toEqual(file);
  expect(asked[1]!.range).toBe('bytes=70000-');
});

test('a server without Range answers 200 and the download begins anew', async () => {
  const { fetch } = network(broken(100_000), whole);
  expect(await storeOn(fetch).get(request)).toEqual(file);
});

test('after three fruitless retries DOWNLOAD_FAILED; a later visit resumes from what was kept', async () => {
  const down = () => Promise.reject(new TypeError('Failed to fetch'));
  const first = network(broken(100_000), down, down, down, down);
  const cache = freshCache();
  const error = await failure(storeOn(first.fetch, cache).get(request));
  expect(error.code).toBe('DOWNLOAD_FAILED');
  expect(error.message).toContain('load again');
  const second = network(part(100_000));
  expect(await storeOn(second.fetch, cache).get(request)).toEqual(file);
  expect(second.asked[0]!.range).toBe('bytes=100000-');
});

test('abort stops at once, keeps what is there, and throws the reason', async () => {
  const controller = new AbortController();
  const endless = (_: unknown, init: RequestInit) =>
    new Response(
      new ReadableStream({
        start(c) {
          c.enqueue(file.slice(0, 80_000));
          init.signal!.addEventListener('abort', () => c.error(init.signal!.reason));
        },
      }),
    );
  const cache = freshCache();
  const pending = storeOn(network(endless).fetch, cache).get(
    request,
    (n) => n === 80_000 && controller.abort(),
    controller.signal,
  );
  await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  const later = network(part(80_000));
  await storeOn(later.fetch, cache).get(request);
  expect(later.asked[0]!.range).toBe('bytes=80000-');
});

test('wrong bytes are fetched once more past the HTTP cache, never kept, then refused', async () => {
  const damaged = () => {
    const copy = file.slice();
    copy[12345]! ^= 1;
    return new Response(copy);
  };
  const { fetch, asked } = network(damaged, damaged, damaged, whole);
  const cache = freshCache();
  const error = await failure(storeOn(fetch, cache).get(request));
  expect(error.code).toBe('INTEGRITY_MISMATCH');
  expect(asked.map((a) => a.cache)).toEqual([undefined, 'reload']);
  expect(await cache.read(sha256)).toBeUndefined();
  expect(await storeOn(fetch, cache).get(request)).toEqual(file);
});

test('a server that sends more than the manifest says is cut off', async () => {
  let sent = 0;
  const flood = () =>
    new Response(
      new ReadableStream({
        pull(c) {
          sent += 100_000;
          c.enqueue(new Uint8Array(100_000));
        },
      }),
    );
  expect((await failure(storeOn(network(flood, flood).fetch).get(request))).code).toBe('INTEGRITY_MISMATCH');
  expect(sent).toBeLessThan(2_000_000);
});

test('a web page, a missing file and a refusal are told apart and not retried', async () => {
  const html = () =>
    new Response('<!doctype html>', { headers: { 'content-type': 'text/html; charset=utf-8' } });
  const status = (code: number) => () => new Response(null, { status: code });
  expect((await failure(storeOn(network(html).fetch).get(request))).code).toBe('NOT_ISTHMUS');
  expect((await failure(storeOn(network(status(404)).fetch).get(request))).code).toBe('NOT_FOUND');
  expect((await failure(storeOn(network(status(401)).fetch).get(request))).message).toContain('token');
});

test('a flipped byte on disk costs a download, nothing more', async () => {
  const name = `isthmus-test-flip-${Date.now()}`;
  const cache = () => new SegmentCache(undefined, createSafeStore(name));
  await storeOn(network(whole).fetch, cache()).get(request);
  const raw = createStore(name, name);
  const kept = (await get<Uint8Array>(`segment/${sha256}`, raw))!;
  kept[7]! ^= 1;
  await set(`segment/${sha256}`, kept, raw);
  const { fetch, asked } = network(whole);
  expect(await storeOn(fetch, cache()).get(request)).toEqual(file);
  expect(asked.length).toBe(1);
});

test('no failure of the store fails a load', async () => {
  const quota: SafeStore['set'] = async () => false;
  const throwing: UseStore = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));
  const blocked = () => {
    throw new DOMException('denied', 'SecurityError');
  };
  const stores: SafeStore[] = [
    { ...freshStore(), set: quota },
    createSafeStore('unused', () => throwing),
    createSafeStore('unused', blocked),
  ];
  for (const store of stores) {
    const { fetch } = network(whole, whole);
    const models = storeOn(fetch, new SegmentCache(undefined, store));
    expect(await models.get(request)).toEqual(file);
    expect(await models.get(request)).toEqual(file);
  }
});

test('a database that never answers delays a load once, and only once', async () => {
  const { fetch } = network(whole, whole);
  const models = storeOn(
    fetch,
    new SegmentCache(
      undefined,
      createSafeStore('unused', () => () => new Promise(() => {})),
    ),
  );
  expect(await models.get(request)).toEqual(file);
  const started = performance.now();
  expect(await models.get(request)).toEqual(file);
  expect(performance.now() - started).toBeLessThan(1000);
});

beforeAll(() => {
  let text = '';
  for (const byte of file) text += String.fromCharCode(byte);
  return commands.writeFile(`${FOLDER}/file.onnx`, btoa(text), 'base64');
});

test('over real HTTP: a kept beginning and a Range request make the whole', async () => {
  const cache = freshCache();
  await cache.writePiece(sha256, 0, file.slice(0, 120_000));
  const statuses: number[] = [];
  const watching: typeof fetch = async (...args) => {
    const response = await fetch(...args);
    statuses.push(response.status);
    return response;
  };
  // The test server would take a name without an ending for JavaScript; the hash goes into the query.
  const real = { ...request, artifacts: `/${FOLDER}/file.onnx?` };
  expect(await storeOn(watching, cache).get(real)).toEqual(file);
  expect(statuses).toEqual([206]);
});
