// Routes that only read: models, manifests, artifacts, health, the app's files; with methods, caches, ranges and CORS.
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../model/manifest.ts';
import { createTailServer, type TailServer } from '../index.ts';
import { testModels } from '../testModels.fixture.ts';

let tail: TailServer;
let shared: TailServer;
let tiny: Manifest;
let dir: string;

beforeAll(async () => {
  ({ dir, tiny } = await testModels());
  const staticDir = join(dir, 'dist-app');
  await mkdir(join(staticDir, 'assets'), { recursive: true });
  await writeFile(join(staticDir, 'index.html'), '<!doctype html><title>app</title>');
  await writeFile(join(staticDir, 'assets', 'ort-Cq3x_9Zk.wasm'), new Uint8Array([0, 97, 115, 109]));
  await writeFile(join(staticDir, 'assets', 'main-BHx3kQ9_.js'), 'export {}');
  tail = await createTailServer({ models: dir, port: 0, logger: false, staticDir });
  shared = await createTailServer({ models: dir, port: 0, logger: false, cors: ['https://page.example'] });
});
afterAll(async () => {
  await Promise.all([tail.close(), shared.close()]);
});

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  tail.app.request(path, { method, headers });

test('GET /models lists name, id, bytes, cuts, tasks and versions', async () => {
  const { models } = (await (await get('/models')).json()) as { models: { name: string }[] };
  expect(models.map((m) => m.name).sort()).toEqual(['slow', 'tiny']);
  expect(models.find((m) => m.name === 'tiny')).toEqual({
    name: 'tiny',
    id: tiny.id,
    bytes: tiny.segments.reduce((sum, s) => sum + s.bytes, 0),
    cuts: ['feature'],
    tasks: ['main'],
    versions: [{ version: 'tiny', tag: tiny.id.slice(0, 16), id: tiny.id }],
  });
});

test('a manifest is the file itself, revalidated by its tag', async () => {
  const first = await get('/models/tiny/manifest.json');
  expect(await first.text()).toBe(await readFile(join(dir, 'tiny', 'manifest.json'), 'utf8'));
  expect(first.headers.get('cache-control')).toBe('no-cache');
  const etag = first.headers.get('etag')!;
  expect(etag).toContain(tiny.id);
  const again = await get('/models/tiny/manifest.json', { 'if-none-match': `W/"x", ${etag}` });
  expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
  const other = await get('/models/tiny/manifest.json', { 'if-none-match': '"x"' });
  expect(other.status).toBe(200);
  const absent = await get('/models/huge/manifest.json');
  expect(absent.status).toBe(404);
  expect(await absent.json()).toMatchObject({ error: { code: 'MODEL_NOT_FOUND' } });
});

test('an artifact has the bytes of its hash and is kept for ever', async () => {
  for (const { sha256, bytes } of tiny.segments) {
    const response = await fetch(`${tail.url}/artifacts/${sha256}`);
    const body = new Uint8Array(await response.arrayBuffer());
    expect(createHash('sha256').update(body).digest('hex')).toBe(sha256);
    expect(response.headers.get('content-length')).toBe(String(bytes));
    expect(response.headers.get('cache-control')).toContain('immutable');
    expect(response.headers.get('accept-ranges')).toBe('bytes');
  }
});

test('a download goes on where it stopped', async () => {
  const { sha256, bytes } = tiny.segments[0]!;
  const url = `/artifacts/${sha256}`;
  const whole = new Uint8Array(await (await get(url)).arrayBuffer());
  const rest = await fetch(`${tail.url}${url}`, { headers: { range: 'bytes=100-' } });
  expect(rest.status).toBe(206);
  expect(rest.headers.get('content-range')).toBe(`bytes 100-${bytes - 1}/${bytes}`);
  expect(rest.headers.get('content-length')).toBe(String(bytes - 100));
  expect(new Uint8Array(await rest.arrayBuffer())).toEqual(whole.slice(100));
  const end = await get(url, { range: 'bytes=-5', 'if-range': `"${sha256}"` });
  expect([end.status, new Uint8Array(await end.arrayBuffer())]).toEqual([206, whole.slice(-5)]);
  const stale = await get(url, { range: 'bytes=-5', 'if-range': '"other"' });
  expect([stale.status, (await stale.arrayBuffer()).byteLength]).toEqual([200, bytes]);
  const behind = await get(url, { range: `bytes=${bytes}-` });
  expect([behind.status, behind.headers.get('content-range')]).toEqual([416, `bytes */${bytes}`]);
  const head = await fetch(`${tail.url}${url}`, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes)]);
  const part = { range: 'bytes=0-9' };
  const headPart = await fetch(`${tail.url}${url}`, { method: 'HEAD', headers: part });
  expect([headPart.status, headPart.headers.get('content-length')]).toEqual([200, String(bytes)]);
  // A proxy that compresses weakens the tag; and one who has the content needs no range, not even a wrong one.
  for (const tag of [`"${sha256}"`, `W/"${sha256}"`, `"x", "${sha256}"`, '*']) {
    const known = await get(url, { 'if-none-match': tag, range: `bytes=${bytes}-` });
    expect([known.status, known.headers.get('etag')]).toEqual([304, `"${sha256}"`]);
  }
  expect((await get(url, { 'if-none-match': '"other"', ...part })).status).toBe(206);
});

test('only hashes that a manifest names exist', async () => {
  for (const name of ['0'.repeat(64), '..%2f..%2fetc%2fpasswd', 's0.onnx', `${tiny.segments[0]!.sha256}0`]) {
    const response = await get(`/artifacts/${name}`);
    expect([response.status, (await response.json()) as object]).toMatchObject([
      404,
      { error: { code: 'NOT_FOUND' } },
    ]);
  }
});

test('methods that an address does not have are 405 with Allow, unknown addresses 404', async () => {
  const cases: [string, string, string][] = [
    ['PUT', '/models', 'GET, HEAD'],
    ['POST', '/models/tiny/manifest.json', 'GET, HEAD'],
    ['GET', '/models/tiny/infer', 'POST'],
    ['DELETE', `/artifacts/${tiny.segments[0]!.sha256}`, 'GET, HEAD'],
    ['OPTIONS', '/healthz', 'GET, HEAD'],
  ];
  for (const [method, path, allow] of cases) {
    const response = await get(path, {}, method);
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow]);
    expect(await response.json()).toMatchObject({ error: { code: 'REQUEST_INVALID' } });
  }
  for (const path of ['/nothing', '/models/', '/models/tiny', '/artifacts', '/models/tiny/infer/more']) {
    const response = await get(path);
    expect([path, response.status]).toEqual([path, 404]);
    expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  }
});

test('health, and the headers of every answer', async () => {
  expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' });
  const ready = await get('/readyz', { 'x-request-id': 'abc-12345' });
  expect(ready.status).toBe(200);
  expect(ready.headers.get('x-request-id')).toBe('abc-12345');
  expect(ready.headers.get('x-content-type-options')).toBe('nosniff');
  expect(ready.headers.get('cross-origin-resource-policy')).toBe('same-origin');
  expect(ready.headers.get('access-control-allow-origin')).toBeNull();
  expect((await get('/readyz', { 'x-request-id': 'bad\tid{}' })).headers.get('x-request-id')).toMatch(
    /^[0-9a-f-]{36}$/,
  );
});

test('the app: types, caching, isolation, and index.html for navigations', async () => {
  const page = await get('/', { accept: 'text/html' });
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.headers.get('cache-control')).toBe('no-cache');
  expect(page.headers.get('cross-origin-opener-policy')).toBe('same-origin');
  expect(page.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
  expect(page.headers.get('content-security-policy')).toContain("'wasm-unsafe-eval'");
  const wasm = await fetch(`${tail.url}/assets/ort-Cq3x_9Zk.wasm`);
  expect(wasm.headers.get('content-type')).toBe('application/wasm');
  expect(wasm.headers.get('cache-control')).toContain('immutable');
  expect((await wasm.arrayBuffer()).byteLength).toBe(4);
  expect((await get('/assets/main-BHx3kQ9_.js')).headers.get('content-type')).toContain('javascript');
  expect((await get('/some/view', { accept: 'text/html,*/*' })).headers.get('content-type')).toContain(
    'text/html',
  );
  const modified = page.headers.get('last-modified')!;
  const again = await fetch(`${tail.url}/`, { headers: { 'if-modified-since': modified } });
  expect([again.status, await again.text(), again.headers.get('cache-control')]).toEqual([
    304,
    '',
    'no-cache',
  ]);
  expect((await get('/assets/missing.js')).status).toBe(404);
  expect((await get('/..%2ftiny%2fmanifest.json')).status).toBe(404);
  expect((await get('/models/huge/manifest.json', { accept: 'text/html' })).status).toBe(404);
});

test('CORS answers the configured origin only, preflights included', async () => {
  const origin = 'https://page.example';
  const preflight = await shared.app.request('/models/tiny/infer', {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-origin')).toBe(origin);
  expect(preflight.headers.get('access-control-allow-headers')).toContain('content-type');
  const allowed = await shared.app.request('/models', { headers: { origin } });
  expect(allowed.headers.get('access-control-allow-origin')).toBe(origin);
  expect(allowed.headers.get('access-control-expose-headers')).toContain('server-timing');
  expect(allowed.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
  const missing = await shared.app.request('/nothing', { headers: { origin } });
  expect([missing.status, missing.headers.get('access-control-allow-origin')]).toEqual([404, origin]);
  const foreign = await shared.app.request('/models', { headers: { origin: 'https://evil.example' } });
  expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
});

test('options that cannot work are refused before anything runs', async () => {
  const busy = createTailServer({ models: dir, port: tail.port, logger: false });
  await expect(busy).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('in use'),
  });
  await expect(
    createTailServer({ models: dir, port: 0, host: '203.0.113.7', logger: false }),
  ).rejects.toMatchObject({
    code: 'OPTION_INVALID',
  });
  await expect(
    createTailServer({ models: dir, port: 0, staticDir: dir, logger: false }),
  ).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('index.html'),
  });
});
