// The loader with a real runtime and a server that can fail: how often it asks, who joins whom, and who waits for whom.
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime, Progress } from '../head/runtime.ts';
import { localServer } from '../transport/localServer.fixture.ts';
import { createLoader, type Loader } from './loader.ts';
import { otherCache } from './served.fixture.ts';
import { tinyModel } from './tinyModel.fixture.ts';

const model = await tinyModel();
const { manifest } = model;
const whole = manifest.segments.length - 1;
/** Indices of the segments that were asked for, and whether they are there. */
let asked: number[];
let refused: (segment: number) => boolean;
let delayMs: number;
const server = await localServer(async (req, res) => {
  const at = manifest.segments.findIndex(({ sha256 }) => req.url!.endsWith(sha256));
  asked.push(at);
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  if (refused(at))
    return void res.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"no"}');
  res.end(await readFile(model.path(manifest.segments[at]!.file)));
});
afterAll(async () => {
  await server.close();
  await model[Symbol.asyncDispose]();
});

const open: HeadRuntime[] = [];
function begin(onProgress?: (p: Progress) => void): Loader {
  const runtime = nodeRuntime();
  open.push(runtime);
  return createLoader({ runtime, manifest, artifacts: `${server.url}/artifacts`, onProgress });
}
let cache: Disposable;
beforeEach(async () => {
  [asked, refused, delayMs] = [[], () => false, 0];
  cache = await otherCache();
});
afterEach(async () => {
  for (const runtime of open.splice(0)) await runtime.close();
  cache[Symbol.dispose]();
});
const outcome = (loading: Promise<void>) =>
  loading.then(
    () => 'here',
    (thrown: { code: string }) => thrown.code,
  );

test('wishes for the same segments or fewer are one load', async () => {
  const loader = begin();
  const wishes = [whole, 0, whole, 1, 0].map((last) => outcome(loader.upTo(last)));
  const quiet = [0, whole].map((last) => outcome(loader.upTo(last, 'quietly')));
  expect(new Set(await Promise.all([...wishes, ...quiet]))).toEqual(new Set(['here']));
  expect(asked).toEqual([0, 1, 2]);
  expect(loader.last).toBe(whole);
});

test('behind the session one segment comes after the other, and a run waits for the one it needs only', async () => {
  const seen: Progress[] = [];
  const loader = begin((p) => seen.push(p));
  delayMs = 100;
  const all = loader.upTo(whole, 'quietly');
  await expect.poll(() => asked.length).toBe(1);
  await loader.upTo(0);
  expect(loader.last).toBeLessThan(whole);
  expect(seen.length).toBeGreaterThan(0); // somebody waited for that one
  const { length } = seen;
  await all;
  expect(asked).toEqual([0, 1, 2]);
  expect(seen).toHaveLength(length);
});

test('what fails behind the session is not tried at every run again; a run tries it at once', async () => {
  const loader = begin();
  await loader.upTo(0);
  refused = (at) => at === 1;
  asked = [];
  delayMs = 200;
  const wishes = Array.from({ length: 30 }, () => outcome(loader.upTo(whole, 'quietly')));
  // A hedge behind them: it finds out at once that not all is kept.
  const hedge = outcome(loader.keptUpTo(whole));
  expect(await hedge).toBe('DOWNLOAD_FAILED');
  expect(new Set(await Promise.all(wishes))).toEqual(new Set(['NOT_FOUND']));
  for (let i = 0; i < 30; i++) expect(await outcome(loader.upTo(whole, 'quietly'))).toBe('NOT_FOUND');
  expect(asked).toEqual([1]);
  // What came before is no part of it, where the device has lost it.
  loader.forget();
  expect(await outcome(loader.upTo(0, 'quietly'))).toBe('here');
  expect(await outcome(loader.upTo(whole))).toBe('NOT_FOUND');
  expect(asked).toEqual([1, 1]);
  refused = () => false;
  expect(await outcome(loader.upTo(whole))).toBe('here');
});

test('a run that waited for what failed behind its back tries itself', async () => {
  const loader = begin();
  delayMs = 100;
  refused = () => asked.length === 1;
  const quiet = outcome(loader.upTo(0, 'quietly'));
  await expect.poll(() => asked.length).toBe(1);
  expect(await outcome(loader.upTo(0))).toBe('here');
  expect(await quiet).toBe('NOT_FOUND');
  expect(asked).toEqual([0, 0]);
});
