// Without a browser: importing the worker's page side touches nothing, and using it fails with typed errors.
import { expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { requestGpu } from '../head/device.ts';
import { fromWire, throwsWire } from './errorWire.ts';

test('importing spawn is harmless where there is no Worker, and spawning says so', async () => {
  const { spawnRuntime } = await import('./spawn.ts');
  await expect(spawnRuntime()).rejects.toMatchObject({ code: 'WORKER_FAILED' });
});

test('where there is no WebGPU the error says what to choose', async () => {
  await expect(requestGpu()).rejects.toMatchObject({
    code: 'WEBGPU_UNAVAILABLE',
    message: expect.stringContaining("device: 'auto'"),
  });
});

test('errors cross as plain data and come back as they were', async () => {
  const cross = async (thrown: unknown) => {
    const wire = await throwsWire(() => Promise.reject(thrown))().catch((e: unknown) => structuredClone(e));
    return fromWire(wire);
  };
  const typed = await cross(new IsthmusError('IMAGE_INVALID', 'No picture. Use another.'));
  expect(typed).toBeInstanceOf(IsthmusError);
  expect(typed).toMatchObject({ code: 'IMAGE_INVALID', message: 'No picture. Use another.' });
  expect(await cross(new DOMException('stop', 'AbortError'))).toMatchObject({ name: 'AbortError' });
  expect(await cross(new TypeError('x is not a function'))).toMatchObject({
    code: 'INTERNAL',
    message: expect.stringContaining('TypeError: x is not a function'),
  });
  expect(await cross(17)).toMatchObject({ code: 'INTERNAL' });
});
