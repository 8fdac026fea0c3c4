// Family `rans` on the GPU: bytes equal those of the reference on every vector, with both tunings, and what a frame costs
// in dispatches, submits and maps.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeRans as fastEncode } from '../cpu/encodeRans.ts';
import { PRESETS, type RansParams, type RansPlan } from '../params.ts';
import { encodeRans } from '../reference/encodeRans.ts';
import { toFloat16, toFloat32 } from '../reference/float16.ts';
import { channels, RANS_VECTORS } from '../reference/ransVectors.ts';
import { randomBits } from '../reference/vectors.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';
import { HARDWARE, SOFTWARE } from './tuning.ts';

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice();
});
afterAll(() => device.destroy());

const paramsOf = ({ bits, lanes, strict }: RansPlan): RansParams => ({
  family: 'rans',
  bits,
  strict,
  ...(lanes !== undefined && { lanes }),
});

describe.each([
  { name: 'software', tuning: SOFTWARE },
  { name: 'hardware', tuning: HARDWARE },
])('with the $name tuning', ({ tuning }) => {
  let encoder: GpuEncoder;
  beforeAll(async () => {
    encoder = await GpuEncoder.create(device, tuning);
  }, 120_000);
  afterAll(() => encoder.destroy());

  test.each(RANS_VECTORS)('$name', async ({ name, shape, plan, data, refused }) => {
    const input = data();
    const feature = upload(device, input, shape);
    const encoded = encoder.encode([feature], paramsOf(plan));
    if (refused) {
      await expect(encoded).rejects.toMatchObject({ code: 'FEATURE_NOT_FINITE' });
    } else {
      const [tensor] = await encoded;
      expectSame(tensor, encodeRans(input, shape, plan), name);
    }
    feature.buffer.destroy();
  });

  test('half a million elements, many lanes; eight dispatches, one submit, one map', async () => {
    const data = channels(524_288, 4096, 71, 0.2);
    const feature = upload(device, data);
    const plan = { bits: 5, lanes: undefined, strict: false };
    const [tensor] = await encoder.encode([feature], paramsOf(plan));
    expectSame(tensor, fastEncode(data, [data.length], plan), 'half a million');
    expect(encoder.lastFrame).toMatchObject({ dispatches: 8, submits: 1, maps: 1 });
    feature.buffer.destroy();
  });

  test('float16, two tensors in a frame, the second not aligned to 256 bytes', async () => {
    const halves = toFloat16(channels(5001, 196, 72));
    const floats = channels(7000, 196, 73, 0.1);
    const features = [
      upload(device, halves, [5001], 'float16'),
      upload(device, floats, [7000], 'float32', 260),
    ];
    const [first, second] = await encoder.encode(features, PRESETS.rans);
    const plan = { bits: 4, lanes: undefined, strict: false };
    expectSame(first, { ...encodeRans(toFloat32(halves), [5001], plan), dtype: 'float16' }, 'float16');
    expectSame(second, encodeRans(floats, [7000], plan), 'float32');
  });

  test('bad parameters are refused', async () => {
    const feature = upload(device, channels(64, 8, 74));
    for (const change of [{ bits: 9 }, { bits: 2.5 }, { lanes: 3 }, { lanes: 2048 }]) {
      const encoded = encoder.encode([feature], { ...PRESETS.rans, ...change });
      await expect(encoded).rejects.toMatchObject({ code: 'CODEC_INVALID' });
    }
  });
});

describe('features like real ones', () => {
  let encoder: GpuEncoder;
  beforeAll(async () => {
    encoder = await GpuEncoder.create(device);
  }, 120_000);
  afterAll(() => encoder.destroy());

  const next = randomBits(2027);
  const biases = [undefined, 0, 0.3, 0.9, 1.3];
  const cases = Array.from({ length: 40 }, (_, n) => ({
    count: 1 + (next() % [300, 3000, 30_000, 120_000][n % 4]!),
    size: [49, 169, 196, 784][next() % 4]!,
    bias: biases[next() % 5],
    bits: 2 + (next() % 7),
    lanes: next() % 3 === 0 ? 2 ** (next() % 11) : undefined,
  }));

  test.each(cases)(
    'T = $count, bias $bias, Q = $bits, lanes $lanes',
    async ({ count, size, bias, bits, lanes }) => {
      const data = channels(count, size, count, bias);
      const feature = upload(device, data);
      const plan = { bits, lanes, strict: false };
      const [tensor] = await encoder.encode([feature], paramsOf(plan));
      expectSame(tensor, fastEncode(data, [count], plan), `T = ${count}`);
      feature.buffer.destroy();
    },
  );
});
