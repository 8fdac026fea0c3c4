// Two thousand malformed requests over all routes and methods, on a real socket and inside the process: never an answer
// of 5xx, never an unhandled rejection, and right answers afterwards. Deterministic: the seed is fixed.
import { createConnection } from 'node:net';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../model/manifest.ts';
import { frameChecksum } from '../../wire/crc32.ts';
import { FRAME_TYPE, INPUT_CUT } from '../../wire/layout.ts';
import { createTailServer, type TailServer } from '../index.ts';
import { imageTensor, testModels, tinyFrame } from '../testModels.fixture.ts';

let tail: TailServer;
let tiny: Manifest;
const errors: object[] = [];

beforeAll(async () => {
  const made = await testModels();
  tiny = made.tiny;
  const logger = {
    info: () => undefined,
    warn: () => undefined,
    error: (fields: object) => void errors.push(fields),
  };
  tail = await createTailServer({
    models: made.dir,
    port: 0,
    logger,
    maxBodyBytes: 1 << 16,
    maxPictureBytes: 1 << 16,
  });
});
afterAll(async () => {
  await tail.close({ graceMs: 100 });
});

/** mulberry32: small, seeded, good enough to choose mischief. */
function random(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND', 'QUERY'];
const PATHS = [
  '/',
  '/models',
  '/models/tiny/infer',
  '/models/tiny/infer',
  '/models/tiny/manifest.json',
  '/models/none/infer',
  '/models/slow/infer',
  '/artifacts/zz',
  '/healthz',
  '/readyz',
  '/models/%00/infer',
  '/models/%ff%fe/manifest.json',
  '/models/..%2f..%2f/manifest.json',
  '/artifacts/%2e%2e%2f',
  '//models',
  '/models/__proto__/manifest.json',
  '/models/constructor/infer',
  `/${'a'.repeat(3000)}`,
  '/models/tiny/infer?x=%',
  '/%',
  '/models/%E0%A4%A/infer',
];
const TYPES = [
  FRAME_TYPE,
  'image/jpeg',
  'image/png',
  'image/webp',
  'text/html',
  '',
  `${FRAME_TYPE}; a="`,
  'x'.repeat(500),
];

test('1,600 mutated requests through every route and method: no 5xx', { timeout: 120_000 }, async () => {
  const pick = random(20261121);
  const png = await sharp({ create: { width: 30, height: 20, channels: 3, background: '#a08' } })
    .png()
    .toBuffer();
  const jpeg = await sharp(png).jpeg().toBuffer();
  const webp = await sharp(png).webp().toBuffer();
  const seeds = [
    tinyFrame(tiny),
    tinyFrame(tiny, { cut: INPUT_CUT, tensors: [imageTensor(jpeg, false)] }),
    tinyFrame(tiny, { meta: { deadlineMs: 1 } }),
    png,
    jpeg,
    webp,
    new Uint8Array(0),
    new Uint8Array(70_000),
  ];
  const one = <T>(list: T[]): T => list[pick(list.length)]!;
  function body(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(one(seeds));
    for (let n = pick(6); n > 0 && bytes.length > 0; n--)
      bytes[pick(pick(2) ? Math.min(96, bytes.length) : bytes.length)] = pick(256);
    const cut = pick(3) === 0 ? bytes.slice(0, pick(bytes.length + 1)) : bytes;
    // Half of them get a right length and checksum, so that what lies behind those checks is reached too.
    if (cut.length >= 32 && pick(2) === 0) {
      const view = new DataView(cut.buffer);
      view.setUint32(8, cut.length, true);
      view.setUint32(12, frameChecksum(cut), true);
    }
    return cut;
  }
  const seen = new Map<number, number>();
  for (let i = 0; i < 1600; i++) {
    const infer = pick(2) === 0;
    const method = infer ? 'POST' : one(METHODS);
    const path = infer ? '/models/tiny/infer' : one(PATHS);
    const headers: Record<string, string> = {
      'content-type': infer && pick(4) ? one(TYPES.slice(0, 4)) : one(TYPES),
      accept: one(['*/*', 'application/json', FRAME_TYPE, '\u00ff', '']),
      range: one(['', 'bytes=0-', 'bytes=9-1', 'bytes=-', `bytes=${'9'.repeat(40)}-`]),
      'if-none-match': one(['', '*', '"', 'W/']),
    };
    const init: RequestInit = { method, headers };
    if (method !== 'GET' && method !== 'HEAD') init.body = body();
    const response = await tail.app.request(path, init);
    await response.arrayBuffer();
    seen.set(response.status, (seen.get(response.status) ?? 0) + 1);
    // A deadline of 1 ms in the seeds may pass, and the path "/models/*/infer" of a real frame may be right.
    if (response.status >= 500 && response.status !== 504)
      throw new Error(`${response.status} for ${method} ${path}`);
  }
  expect(errors).toEqual([]);
  for (const status of [200, 400, 404, 405, 413, 415]) expect([...seen.keys()]).toContain(status);
  console.log('answers by status:', Object.fromEntries([...seen].sort()));
});

test('400 malformed requests on the wire: a 4xx or a closed connection, and the server lives', {
  timeout: 60_000,
}, async () => {
  const pick = random(7);
  const frame = Buffer.from(tinyFrame(tiny)).toString('latin1');
  const texts = [
    'GET\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /models HTTP/1.1\r\n\r\n',
    'GET /models HTTP/1.1\r\nHost: a b\r\n\r\n',
    'GET http://[::bad/models HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET \\models HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'CONNECT x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'TRACE /models HTTP/1.1\r\nHost: localhost\r\n\r\n',
    `GET /models HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
    'POST /models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n',
    'POST /models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'POST /models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello',
    `POST /models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${FRAME_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n`,
    'GET /models HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    `POST /models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${FRAME_TYPE}\r\nContent-Length: ${frame.length}\r\n\r\n${frame}`,
  ];
  for (let i = 0; i < 400; i++) {
    let text = texts[i % texts.length]!;
    if (i >= texts.length) text = text.slice(0, 1 + pick(text.length)); // the connection ends at a random byte
    const answer = await new Promise<string>((resolve) => {
      let got = '';
      const socket = createConnection(tail.port, '127.0.0.1');
      socket.on('data', (chunk) => {
        got += chunk.toString('latin1');
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(got));
      socket.end(text, 'latin1');
      setTimeout(() => socket.destroy(), 1000).unref();
    });
    const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
    if (status?.startsWith('5')) throw new Error(`${status} for ${JSON.stringify(text.slice(0, 200))}`);
  }
  expect(errors).toEqual([]);
  const after = await fetch(`${tail.url}/models/tiny/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE },
    body: tinyFrame(tiny),
  });
  expect(after.status).toBe(200);
});
