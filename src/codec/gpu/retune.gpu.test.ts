// When pipelines are compiled: those of the default preset at the start, those of another tuning before it is used. No frame waits
// for them, and the bytes stay.
import { expect, test } from 'vitest';
import { PRESETS } from '../params.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';
import { SOFTWARE } from './tuning.ts';

test('frames of the shapes and codecs used before find their pipelines', async () => {
  const device = await requestDevice();
  const { createComputePipelineAsync } = device;
  let compiled = 0;
  device.createComputePipelineAsync = (descriptor) => {
    compiled++;
    return createComputePipelineAsync.call(device, descriptor);
  };
  const encoder = await GpuEncoder.create(device, SOFTWARE);
  const data = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i / 5));
  const feature = upload(device, data, [4, 16, 16]);
  const atStart = compiled;
  const codecs = [PRESETS.isthmus, PRESETS.rans];
  const before = await encoder.encode([feature], PRESETS.isthmus);
  expect(compiled).toBe(atStart); // the default preset was ready
  before.push(...(await encoder.encode([feature], PRESETS.rans)));

  const first = compiled;
  const retuning = encoder.retune({ ...SOFTWARE, workgroup: 64 });
  expectSame((await encoder.encode([feature], PRESETS.isthmus))[0], before[0]!, 'meanwhile');
  await retuning;
  const second = compiled;
  expect(second).toBeGreaterThan(first);
  expect(encoder.tuning.workgroup).toBe(64);
  for (const [i, codec] of codecs.entries())
    expectSame((await encoder.encode([feature], codec))[0], before[i]!, codec.family);
  expect(compiled).toBe(second);
  encoder.destroy();
  device.destroy();
}, 60_000);
