import { expect, test } from 'vitest';
import { rawTensor, wave } from '../testModels.fixture.ts';
import { createFeatureCache, type KeptFeature } from './featureCache.ts';

const feature = (values: number, modelTag = 'a'.repeat(16), cut = 1): KeptFeature => ({
  modelTag,
  cut,
  tensors: [rawTensor([values], wave(values))],
});
const code = (act: () => unknown) => {
  try {
    act();
    return 'found';
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
};

test('a feature belongs to one subject, one version and one cut', () => {
  const cache = createFeatureCache();
  const kept = feature(100);
  const id = cache.put('anna', kept)!;
  expect(cache.get('anna', id, kept)).toEqual(kept.tensors);
  const [tensor] = cache.get('anna', id, kept);
  tensor!.payload.fill(0); // what is handed out is moved to a thread: the cache has its own
  expect(cache.get('anna', id, kept)).toEqual(kept.tensors);
  expect(code(() => cache.get('bert', id, kept))).toBe('FEATURE_GONE');
  expect(code(() => cache.get('', id, kept))).toBe('FEATURE_GONE');
  expect(code(() => cache.get('anna', id, { ...kept, modelTag: 'b'.repeat(16) }))).toBe('FEATURE_GONE');
  expect(code(() => cache.get('anna', id, { ...kept, cut: 0 }))).toBe('FEATURE_GONE');
  expect(code(() => cache.get('anna', `${id.slice(1)}A`, kept))).toBe('FEATURE_GONE');
});

test('bytes are bounded, the least recently used goes first, and what is too large is not kept', () => {
  const cache = createFeatureCache({ bytes: 10 * 5024 });
  const ids = Array.from({ length: 10 }, () => cache.put('', feature(1000))!);
  expect(new Set(ids).size).toBe(10);
  expect(cache.bytes).toBe(10 * 5024);
  cache.get('', ids[0]!, feature(1));
  cache.put('', feature(1000));
  expect(cache.bytes).toBe(10 * 5024);
  expect(ids.map((id) => code(() => cache.get('', id, feature(1))))).toEqual([
    'found',
    'FEATURE_GONE',
    ...ids.slice(2).map(() => 'found'),
  ]);
  expect(cache.put('', feature(20_000))).toBeUndefined();
  const many = createFeatureCache({ bytes: 1 << 20 });
  for (let i = 0; i < 5000; i++) many.put('', feature(0)); // a constant has no payload, but is not free
  expect(many.bytes).toBeLessThanOrEqual(1 << 20);
});

test('time is up by itself, without anybody asking', async () => {
  const cache = createFeatureCache({ ttlMs: 50 });
  const id = cache.put('', feature(100))!;
  await expect.poll(() => cache.bytes, { timeout: 5000 }).toBe(0);
  expect(code(() => cache.get('', id, feature(100)))).toBe('FEATURE_GONE');
  const closed = createFeatureCache({ bytes: 0 });
  expect([closed.open, closed.put('', feature(1)), closed.bytes]).toEqual([false, undefined, 0]);
});
