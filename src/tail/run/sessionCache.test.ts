import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { InferenceSession } from 'onnxruntime-node';
import { beforeAll, expect, test } from 'vitest';
import { loadRegistry } from '../models/modelStore.ts';
import { testModels } from '../testModels.fixture.ts';
import { SessionCache } from './sessionCache.ts';
import type { SegmentFile } from './threadMessages.ts';

let files: SegmentFile[];

beforeAll(async () => {
  const { models } = await loadRegistry((await testModels()).dir);
  files = [...models.values()].flatMap(({ manifest, path }) =>
    manifest.segments.map(({ sha256, bytes }, i) => ({ path: path(i), sha256, bytes })),
  );
});

test('sessions are made once and the least recently used one is released', async () => {
  const [a, b, c] = files as [SegmentFile, SegmentFile, SegmentFile];
  const released: InferenceSession[] = [];
  let made = 0;
  const cache = new SessionCache(Math.max(a.bytes + b.bytes, a.bytes + c.bytes), async (model) => {
    made++;
    const session = await InferenceSession.create(model);
    const release = session.release.bind(session);
    session.release = async () => {
      released.push(session);
      await release();
    };
    return session;
  });
  const first = await cache.get(a);
  const second = await cache.get(b);
  expect(await cache.get(a)).toBe(first);
  expect(made).toBe(2);
  await cache.get(c);
  expect(released).toEqual([second]);
  expect(await cache.get(a)).toBe(first);
  expect(await cache.get(b)).not.toBe(second);
});

test('a file larger than the bound is run all the same, alone', async () => {
  const cache = new SessionCache(1, (model) => InferenceSession.create(model));
  for (const file of files) await cache.get(file);
  expect(cache.size).toBe(1);
});

test('a file that has gone is refused without naming the folders of this machine', async () => {
  const [a] = files as [SegmentFile];
  const cache = new SessionCache(1e9, () => Promise.reject(new Error('must not be loaded')));
  const gone = cache.get({ ...a, path: `${a.path}.gone` });
  await expect(gone).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringMatching(/^[^/\\]*restart the tail\.$/),
  });
});

test('content that is not what the manifest names is refused before it is loaded', async () => {
  const [a] = files as [SegmentFile];
  const other = createHash('sha256')
    .update(await readFile(a.path))
    .update('x')
    .digest('hex');
  const cache = new SessionCache(1e9, () => Promise.reject(new Error('must not be loaded')));
  await expect(cache.get({ ...a, sha256: other })).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
  expect(cache.size).toBe(0);
});
