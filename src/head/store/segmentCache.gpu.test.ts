// The cache's own rule, eviction, in real IndexedDB; everything else about it shows in modelStore.gpu.test.ts.
import { expect, test } from 'vitest';
import { createSafeStore } from './safeStore.ts';
import { SegmentCache } from './segmentCache.ts';

test('keeps within its budget by dropping what was used longest ago', async () => {
  const cache = new SegmentCache(2500, createSafeStore(`isthmus-test-budget-${Date.now()}`));
  const bytes = new Uint8Array(1000);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
  for (const name of ['a', 'b']) {
    await cache.write(name, bytes);
    await pause();
  }
  await cache.read('a');
  await cache.write('c', bytes);
  expect(await cache.read('b')).toBeUndefined();
  expect(await cache.read('a')).toEqual(bytes);
  expect(await cache.read('c')).toEqual(bytes);
  await cache.write('huge', new Uint8Array(3000));
  expect(await cache.read('huge')).toBeUndefined();
  expect(await cache.read('c')).toEqual(bytes);
});
