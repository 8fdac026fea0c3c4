// connect() in Node: against the real tail, through a proxy that damages what passes, and against what is no tail.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import { connect } from '../index.node.ts';
import { type LocalServer, localServer } from '../transport/localServer.fixture.ts';
import { otherCache, servedTiny } from './served.fixture.ts';
import type { ConnectProgress } from './types.ts';

const { model, tail, photo } = await servedTiny();
let proxy: LocalServer;
let cache: string;
/** What the proxy does to the body of an answer; reset before each test. */
let damage: (path: string, body: Buffer) => Buffer | undefined;
/** Requests that went through the proxy, and the tokens they carried. */
let passed: { path: string; token: string | undefined }[];

beforeAll(async () => {
  proxy = await localServer(async (req, res, body) => {
    const path = req.url!;
    if (req.headers.upgrade) return void res.destroy(); // it passes HTTP only; links are tested in src/transport
    passed.push({ path, token: req.headers.authorization });
    const { host, connection, ...headers } = req.headers as Record<string, string>;
    const answer = await fetch(tail.url + path, {
      method: req.method!,
      headers: {
        'content-type': headers['content-type'] ?? '',
        ...(headers.range && { range: headers.range }),
      },
      ...(body.length > 0 && { body: new Uint8Array(body) }),
    });
    const whole = Buffer.from(await answer.arrayBuffer());
    const kept = damage(path, whole);
    if (!kept) return void res.destroy();
    res.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(kept);
  });
});
beforeEach(async () => {
  damage = (_, body) => body;
  passed = [];
  cache = (await otherCache()).folder;
});
afterAll(() => proxy?.close());

const address = () => `${proxy.url}/models/tiny`;
const flip = (body: Buffer) => {
  const copy = Buffer.from(body);
  copy[copy.length - 9]! ^= 4;
  return copy;
};
const artifacts = () => passed.filter((p) => p.path.startsWith('/artifacts/'));

test('downloads what the mode runs here and nothing else', async () => {
  const loads = async (options: Parameters<typeof connect>[1]) => {
    await rm(cache, { recursive: true, force: true });
    passed = [];
    await (await connect(address(), options)).close();
    return artifacts().length;
  };
  expect(await loads({ mode: 'only-remote' })).toBe(0);
  expect(await loads({ mode: 'only-split', cut: 'r1' })).toBe(1);
  expect(await loads({ mode: 'only-split', cut: 'p' })).toBe(2);
  expect(await loads({ mode: 'only-local' })).toBe(3);
});

test('progress goes from the manifest over the download to the compilation', async () => {
  const seen: ConnectProgress[] = [];
  await (await connect(address(), { mode: 'only-local', onProgress: (p) => seen.push(p) })).close();
  expect([...new Set(seen.map((p) => p.stage))]).toEqual(['manifest', 'download', 'compile']);
  for (const stage of ['download', 'compile']) {
    const steps = seen.filter((p) => p.stage === stage);
    const total = model.manifest.segments.reduce((sum, s) => sum + s.bytes, 0);
    expect(steps.at(-1)).toMatchObject({ loaded: total, total });
    expect(steps.map((s) => s.loaded)).toEqual(steps.map((s) => s.loaded).sort((a, b) => a - b));
  }
});

test('a run that needs more of the model tells its progress too', async () => {
  const seen: ConnectProgress[] = [];
  await using session = await connect(address(), {
    mode: 'only-split',
    cut: 'r1',
    onProgress: (p) => seen.push(p),
  });
  await session.run(photo);
  seen.length = 0;
  await session.run(photo, { cut: 'p' });
  const { bytes } = model.manifest.segments[1]!;
  expect([...new Set(seen.map((p) => p.stage))]).toEqual(['download', 'compile']);
  expect(seen.at(-1)).toEqual({ stage: 'compile', loaded: bytes, total: bytes });
  seen.length = 0;
  await session.run(photo, { cut: 'p' });
  expect(seen).toEqual([]);
});

test('a second connect takes segments from the cache; a damaged entry is fetched again', async () => {
  await (await connect(address(), { mode: 'only-local' })).close();
  passed = [];
  await (await connect(address(), { mode: 'only-local' })).close();
  expect(artifacts()).toEqual([]);
  const file = (await readdir(cache)).find((f) => f.includes(model.manifest.segments[1]!.sha256))!;
  await writeFile(join(cache, file), flip(await readFile(join(cache, file))));
  await using session = await connect(address(), { mode: 'only-local' });
  expect(artifacts()).toHaveLength(1);
  expect((await session.run(photo)).report.ran).toBe('local');
});

test('a cache that cannot be written never fails a load', async () => {
  process.env.ISTHMUS_CACHE = join(model.path('manifest.json'), 'below-a-file');
  await using session = await connect(address(), { mode: 'only-local' });
  expect((await session.run(photo)).report.ran).toBe('local');
});

test('a WebSocket that is blocked on the way keeps nobody from starting who can answer here', async () => {
  for (const mode of ['prefer-split', 'prefer-remote', 'auto'] as const) {
    await using session = await connect(address(), { mode, transport: 'websocket' });
    expect((await session.run(photo)).report).toMatchObject({
      ran: 'local',
      degraded: expect.stringMatching(/^OFFLINE: /),
    });
  }
  await expect(connect(address(), { mode: 'only-split', transport: 'websocket' })).rejects.toMatchObject({
    code: 'OFFLINE',
  });
});

test('the token goes along with every request', async () => {
  let asked = 0;
  const session = await connect(address(), { mode: 'only-split', token: async () => `t${++asked}` });
  await session.run(photo);
  await session.close();
  expect(passed.length).toBeGreaterThanOrEqual(3);
  for (const { token, path } of passed) expect(token, path).toMatch(/^Bearer t\d+$/);
});

test('a tampered manifest is refused', async () => {
  const [first, second] = model.manifest.segments;
  for (const [from, to] of [
    [first!.sha256, second!.sha256],
    ['"r1"', '"r9"'],
    ['"id":"', '"id":"0'],
  ] as const) {
    damage = (_, body) => Buffer.from(body.toString().replaceAll(from, to));
    await expect(connect(address()), from).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  }
});

test('a tampered artifact is refused under only-*; prefer-* does without it and says why', async () => {
  damage = (path, body) => (path.startsWith('/artifacts/') ? flip(body) : body);
  await expect(connect(address(), { mode: 'only-split' })).rejects.toMatchObject({
    code: 'INTEGRITY_MISMATCH',
  });
  expect(await readdir(cache).then((files) => files.filter((f) => f.startsWith('segment')))).toEqual([]);
  await using session = await connect(address());
  const { report } = await session.run(photo);
  expect(report).toMatchObject({ ran: 'remote', degraded: expect.stringMatching(/^INTEGRITY_MISMATCH/) });
});

test('an artifact damaged once on the way is fetched once more', async () => {
  let left = 1;
  damage = (path, body) => (path.startsWith('/artifacts/') && left-- > 0 ? flip(body) : body);
  await using session = await connect(address(), { mode: 'only-split', cut: 'r1' });
  expect(artifacts()).toHaveLength(2);
  expect((await session.run(photo)).report.ran).toBe('split');
});

test('a reply damaged once is asked for again, always damaged it is given up', async () => {
  let left = 1;
  damage = (path, body) => (path.endsWith('/infer') && left-- > 0 ? flip(body) : body);
  await using session = await connect(address(), { codec: 'raw' });
  const { report } = await session.run(photo);
  expect(report.ran).toBe('split');
  expect(report.bytes.up).toBeGreaterThan(2 * report.bytes.raw!);
  left = 100;
  await expect(session.run(photo, { mode: 'only-split' })).rejects.toMatchObject({ code: 'FRAME_CORRUPT' });
  const home = await session.run(photo);
  expect(home.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^FRAME_CORRUPT/) });
});

test('a connection cut inside the reply is OFFLINE, and prefer-split answers at home', async () => {
  damage = (path, body) => (path.endsWith('/infer') ? undefined : body);
  await using session = await connect(address());
  await expect(session.run(photo, { mode: 'only-split' })).rejects.toMatchObject({ code: 'OFFLINE' });
  expect((await session.run(photo)).report).toMatchObject({ ran: 'local', degraded: expect.any(String) });
});

test('a model that is not there, with the names that are', async () => {
  await expect(connect(`${proxy.url}/models/huge`)).rejects.toMatchObject({
    code: 'MODEL_NOT_FOUND',
    message: expect.stringContaining('tiny'),
  });
  expect((await connect(proxy.url, { mode: 'only-remote' })).manifest.name).toBe('tiny');
});

test('options that are wrong fail before anything starts', async () => {
  for (const [options, code] of [
    [{ mode: 'fast' as 'only-split' }, 'OPTION_INVALID'],
    [{ transport: 'pigeon' as 'fetch' }, 'OPTION_INVALID'],
    [{ upload: { format: 'bmp' as 'jpeg' } }, 'OPTION_INVALID'],
    [{ upload: { quality: 85 } }, 'OPTION_INVALID'],
    [{ cut: 'nowhere' }, 'CUT_INVALID'],
    [{ codec: 'zip' as 'raw' }, 'CODEC_INVALID'],
    [{ codec: { family: 'slicer', keep: 7 } as never }, 'CODEC_INVALID'],
  ] as const) {
    await expect(connect(address(), options), code).rejects.toMatchObject({ code });
  }
  expect(artifacts()).toEqual([]);
});

test('abort while connecting rejects at once, and a runtime that comes late is closed', async () => {
  await expect(connect(address(), { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  });
  await using deaf = await localServer(() => undefined);
  const controller = new AbortController();
  const connecting = connect(`${deaf.url}/models/tiny`, { signal: controller.signal });
  let aborted = 0;
  setTimeout(() => {
    aborted = performance.now();
    controller.abort();
  }, 50);
  await expect(connecting).rejects.toMatchObject({ name: 'AbortError' });
  expect(performance.now() - aborted).toBeLessThan(50);

  // While segments are loaded.
  const loading = new AbortController();
  damage = (path, body) => {
    if (path.startsWith('/artifacts/')) loading.abort();
    return body;
  };
  await expect(connect(address(), { mode: 'only-local', signal: loading.signal })).rejects.toMatchObject({
    name: 'AbortError',
  });
});

test('a signal that ended connecting does not end the session', async () => {
  const controller = new AbortController();
  await using session = await connect(address(), { signal: controller.signal });
  controller.abort();
  expect((await session.run(photo)).report.ran).toBe('split');
});

test('a runtime that was handed in is used, and closed with the session only', async () => {
  let closed = 0;
  const own = nodeRuntime();
  const runtime: HeadRuntime = { ...own, close: () => own.close().then(() => void closed++) };
  damage = (path, body) => (path.startsWith('/artifacts/') ? flip(body) : body);
  await expect(connect(address(), { runtime, mode: 'only-local' })).rejects.toMatchObject({
    code: 'INTEGRITY_MISMATCH',
  });
  expect(closed).toBe(0);
  damage = (_, body) => body;
  const session = await connect(address(), { runtime, mode: 'only-local' });
  await session.close();
  expect(closed).toBe(1);
});
