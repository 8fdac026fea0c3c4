// float16 features: widened exactly on the GPU, then encoded as if they were float32; the record keeps the element type.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PRESETS, planSlicer, type SlicerParams } from '../params.ts';
import { encodeSlicer } from '../reference/encodeSlicer.ts';
import { toFloat16, toFloat32 } from '../reference/float16.ts';
import { randomBits } from '../reference/vectors.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';

let device: GPUDevice;
let encoder: GpuEncoder;
beforeAll(async () => {
  device = await requestDevice();
  encoder = await GpuEncoder.create(device);
}, 120_000);
afterAll(() => {
  encoder.destroy();
  device.destroy();
});

async function expectEqual(halves: Uint16Array, params: SlicerParams, name: string, lead = 0) {
  const feature = upload(device, halves, [halves.length], 'float16', lead);
  const [tensor] = await encoder.encode([feature], params);
  const wanted = encodeSlicer(toFloat32(halves), [halves.length], planSlicer(params));
  expectSame(tensor, { ...wanted, dtype: 'float16' }, name);
  feature.buffer.destroy();
}

const everything: SlicerParams = { ...PRESETS['slicer-fine'], budget: { kind: 'max-error', delta: 0 } };

test('every float16 pattern, with subnormals, infinities and NaN', async () => {
  await expectEqual(
    Uint16Array.from({ length: 65_536 }, (_, i) => (i * 40_503) & 0xffff),
    everything,
    'all',
  );
});

test('subnormals only', async () => {
  const halves = Uint16Array.from({ length: 2046 }, (_, i) => (i >> 1) | ((i & 1) << 15));
  await expectEqual(halves, everything, 'subnormals');
  await expectEqual(halves, PRESETS['slicer-sparse'], 'subnormals, few kept');
});

test('odd counts, lengths around words and tiles, and other offsets', async () => {
  const next = randomBits(77);
  for (const [i, count] of [1, 2, 3, 31, 33, 1023, 1025, 8191, 12_545].entries()) {
    const halves = toFloat16(Float32Array.from({ length: count }, () => next() / 2 ** 30 - 2));
    await expectEqual(halves, PRESETS.slicer, `T = ${count}`, [0, 4, 252, 256][i % 4]);
  }
});

test('signs that compete differently', async () => {
  const next = randomBits(78);
  const halves = toFloat16(Float32Array.from({ length: 3001 }, () => next() / 2 ** 30 - 2));
  await expectEqual(halves, { ...PRESETS['slicer-sparse'], asymmetry: 0.5 }, 'asymmetry');
});

test('family raw keeps the patterns', async () => {
  const halves = Uint16Array.of(0x7e00, 1, 0x8000, 0xfc00, 0x3c00);
  const [tensor] = await encoder.encode([upload(device, halves, [5], 'float16')], PRESETS.raw);
  expect(tensor).toMatchObject({ family: 'raw', dtype: 'float16' });
  expect(tensor!.payload).toEqual(new Uint8Array(halves.buffer));
});
