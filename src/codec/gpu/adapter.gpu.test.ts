import { expect, test } from 'vitest';

test('an adapter is there', async () => {
  const a = await navigator.gpu.requestAdapter();
  console.log(a?.info.vendor, a?.info.architecture, a?.info.description);
  expect(a).not.toBeNull();
});
