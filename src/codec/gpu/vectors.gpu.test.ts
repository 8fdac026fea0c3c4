// GPU bytes equal reference bytes: every vector, and features like those of real networks, with several tunings.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PRESETS, planSlicer, type SlicerParams } from '../params.ts';
import { encodeSlicer } from '../reference/encodeSlicer.ts';
import { randomBits, VECTORS } from '../reference/vectors.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, paramsOf, requestDevice, upload } from './gpuTesting.fixture.ts';
import { HARDWARE, SOFTWARE } from './tuning.ts';

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice(['subgroups']); // SwiftShader has them, of size 4
});
afterAll(() => device.destroy());

describe.each([
  { name: 'hardware', tuning: HARDWARE },
  { name: 'software', tuning: SOFTWARE },
  { name: 'hardware, subgroups', tuning: { ...HARDWARE, scan: 'subgroup' } as const },
  { name: 'smallest workgroup, subgroups', tuning: { ...SOFTWARE, scan: 'subgroup' } as const },
])('with the $name tuning', ({ tuning }) => {
  let encoder: GpuEncoder;
  beforeAll(async () => {
    encoder = await GpuEncoder.create(device, tuning);
  }, 120_000);
  afterAll(() => encoder.destroy());

  test.each(VECTORS)('$name', async ({ name, shape, plan, data, refused }) => {
    const input = data();
    const feature = upload(device, input, shape);
    const encoded = encoder.encode([feature], paramsOf(plan));
    if (refused) {
      await expect(encoded).rejects.toMatchObject({ code: 'FEATURE_NOT_FINITE' });
    } else {
      const [tensor] = await encoded;
      expectSame(tensor, encodeSlicer(input, shape, plan), name);
    }
    feature.buffer.destroy();
  });
});

/** What layers put out: normal-like, after ReLU, clipped at 6 (many ties), linear bottlenecks, coarse grids. */
function layerLike(count: number, seed: number, kind: number): Float32Array {
  const next = randomBits(seed);
  const uniform = () => (next() >>> 8) / 2 ** 24 - 0.5;
  return Float32Array.from({ length: count }, () => {
    const x = 4 * (uniform() + uniform() + uniform() + uniform());
    if (kind === 1) return Math.max(0, x);
    if (kind === 2) return Math.min(6, Math.max(0, 6 * x));
    if (kind === 3) return x ** 5;
    if (kind === 4) return Math.round(x * 4) / 4;
    return x;
  });
}

describe('features like real ones', () => {
  let encoder: GpuEncoder;
  beforeAll(async () => {
    encoder = await GpuEncoder.create(device);
  }, 120_000);
  afterAll(() => encoder.destroy());

  const budgets: SlicerParams['budget'][] = [
    { kind: 'max-error', delta: 0.02 },
    { kind: 'mse', distortion: 1e-4 },
    { kind: 'integer', delta: 2 },
  ];
  const next = randomBits(2026);
  const cases = [1, 2, 7, 31, 33, 196, 2047, 2049, 8192, 12_544, 50_176, 100_352, 300_000].map(
    (count, i) => ({
      count,
      kind: i % 5,
      params: {
        family: 'slicer',
        keep: [0.15, 0.3, 0.6, 1][next() % 4]!,
        asymmetry: [1, 0.5][i % 2]!,
        blocks: ([1, 2, 4, 8, 16] as const)[next() % 5]!,
        budget: budgets[i % 3]!,
      } satisfies SlicerParams,
    }),
  );

  test.each(cases)('T = $count, kind $kind, $params', async ({ count, kind, params }) => {
    const data = layerLike(count, count, kind);
    const feature = upload(device, data);
    const [tensor] = await encoder.encode([feature], params);
    expectSame(tensor, encodeSlicer(data, [count], planSlicer(params)), `T = ${count}`);
    feature.buffer.destroy();
  });

  test('T = 1 Mi, default preset', async () => {
    const data = layerLike(2 ** 20, 3, 1);
    const feature = upload(device, data);
    const [tensor] = await encoder.encode([feature], PRESETS.slicer);
    expectSame(tensor, encodeSlicer(data, [2 ** 20], planSlicer(PRESETS.slicer)), '1 Mi');
    feature.buffer.destroy();
  });
});
