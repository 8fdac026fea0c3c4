// The browser's entry may be imported where there is no browser: during server-side rendering, in tests, in tools.
import { expect, test } from 'vitest';

test('importing the browser entry in Node touches nothing, and connecting says what is missing', async () => {
  const { connect, IsthmusError, PRESETS, ...rest } = await import('./index.ts');
  expect(rest).toEqual({});
  expect(Object.keys(PRESETS)).toContain('slicer');
  await expect(connect('/models/net')).rejects.toBeInstanceOf(IsthmusError);
});

test('both entries have the same names', async () => {
  const [browser, node] = await Promise.all([import('./index.ts'), import('./index.node.ts')]);
  expect(Object.keys(node).sort()).toEqual(Object.keys(browser).sort());
});
