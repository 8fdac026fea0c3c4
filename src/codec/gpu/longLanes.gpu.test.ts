// Lanes too long for a GPU: one invocation would work on a single lane of millions of symbols for seconds, which browsers end by
// taking the device away, and a hundred bytes can claim such a lane. The CPU has them, in both directions.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planIsthmus } from '../isthmusPlan.ts';
import type { EncodedTensor } from '../params.ts';
import { encodeIsthmus } from '../reference/encodeIsthmus.ts';
import { GpuDecoder } from './decoder.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice();
});
afterAll(() => device.destroy());

/** 100 bytes: every table is one symbol that costs nothing, and one lane has all coefficients. */
function claim(columns: number): EncodedTensor {
  const params = new Uint8Array(16 + 15 * 4);
  params[0] = 2; // sent tables
  new DataView(params.buffer).setUint32(4, 700, true); // step
  params.set([128, 1, 1], 8);
  for (let k = 0; k < 15; k++) params[16 + 4 * k] = 1; // token 0 only
  const payload = Uint8Array.of(0, 0, 1, 0);
  return { family: 'isthmus', dtype: 'float32', shape: [columns], flags: 0, params, payload };
}

test('decoding: a small frame that claims one long lane', async () => {
  const decoder = await GpuDecoder.create(device);
  const began = performance.now();
  const [feature] = await decoder.decode([claim(2 ** 22)]);
  await device.queue.onSubmittedWorkDone();
  console.info(`one lane of ${2 ** 22} symbols: ${Math.round(performance.now() - began)} ms`);
  expect(decoder.lastFrame.maps).toBe(0); // no lane was decoded, so none is checked, on the GPU
  feature!.buffer.destroy();
  decoder.destroy();
});

test('encoding: one row is one lane', async () => {
  const encoder = await GpuEncoder.create(device);
  const data = Float32Array.from({ length: 80_000 }, (_, i) => Math.sin(i / 9) * (i % 7));
  const params = { family: 'isthmus' } as const;
  const [tensor] = await encoder.encode([upload(device, data, [1, 80_000])], params);
  expectSame(tensor, encodeIsthmus(data, [1, 80_000], planIsthmus(params)), 'one row');
  expect(encoder.lastFrame.dispatches).toBe(4); // statistics, fixed point, rows, columns
  encoder.destroy();
});
