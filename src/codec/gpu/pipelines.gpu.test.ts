// A shader that does not compile is its caller's refusal, with the line, and nothing else's: the device's own error event ends the
// run of whoever listens to it.
import { expect, test } from 'vitest';
import { requestDevice } from './gpuTesting.fixture.ts';
import { Pipelines } from './pipelines.ts';

test('a wrong shader: a rejection that says where, and no error of the device', async () => {
  const device = await requestDevice();
  const uncaptured: string[] = [];
  device.addEventListener('uncapturederror', ({ error }) => uncaptured.push(error.message));
  const code = '@compute @workgroup_size(1)\nfn main() { let x: u32 = 1.5; }';
  const pipelines = Pipelines.of(device);
  const compiling = pipelines.pipeline({ name: 'test wrong', code }, { storage: 0, tables: 0 });
  await expect(compiling).rejects.toThrow(/test wrong, line 2: /);
  // Errors come in order: this one is told after any that the shader made.
  device.createBuffer({ label: 'last', size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
  device.queue.submit([]);
  await device.queue.onSubmittedWorkDone();
  await expect.poll(() => uncaptured.length).toBeGreaterThan(0);
  expect(uncaptured).toHaveLength(1);
  expect(uncaptured[0]).toContain('last');
  device.destroy();
});
