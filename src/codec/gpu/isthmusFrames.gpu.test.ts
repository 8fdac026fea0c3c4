// Family `isthmus` as the head uses it: presets and profiles by their params, several tensors in a frame, float16, refusals, a
// large feature in several lanes, and what a frame costs in dispatches, submits and maps.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type IsthmusParams, planIsthmus } from '../isthmusPlan.ts';
import { encodeIsthmus } from '../reference/encodeIsthmus.ts';
import { toFloat16, toFloat32 } from '../reference/float16.ts';
import { MADE_PROFILES } from '../reference/isthmusProfiles.ts';
import { channels } from '../reference/ransVectors.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';
import { tuningFor } from './tuning.ts';

const PLAIN: IsthmusParams = { family: 'isthmus' };

let device: GPUDevice;
let encoder: GpuEncoder;
beforeAll(async () => {
  device = await requestDevice();
  encoder = await GpuEncoder.create(device, tuningFor(device.adapterInfo));
}, 120_000);
afterAll(() => {
  encoder.destroy();
  device.destroy();
});

const smooth = (shape: readonly number[], seed: number, threshold?: number) =>
  channels(
    shape.reduce((a, b) => a * b, 1),
    shape.at(-1)! * 4,
    seed,
    threshold,
  );
const reference = (data: Float32Array, shape: readonly number[], params: IsthmusParams) =>
  encodeIsthmus(data, shape, planIsthmus(params));

describe('frames', () => {
  test('several tensors, codecs and profiles: one submit, one map', async () => {
    const shapes = [
      [4, 14, 14],
      [2, 16, 8, 8],
      [40, 24],
      [2, 9],
      [0, 3],
    ];
    const data = shapes.map((shape, i) => smooth(shape, 70 + i));
    const { usual, tokens } = MADE_PROFILES;
    const codecs: IsthmusParams[] = [
      PLAIN,
      { ...PLAIN, profile: usual },
      { ...PLAIN, profile: tokens, quality: 62 },
      { ...PLAIN, targetDistortion: 0.01 },
      PLAIN,
    ];
    const features = shapes.map((shape, i) => upload(device, data[i]!, shape, 'float32', 4 * i));
    const raw = upload(device, BigInt64Array.of(1n, -2n), [2], 'int64');
    const tensors = await encoder.encode([...features, raw], [...codecs, PLAIN]);
    shapes.forEach((shape, i) => {
      expectSame(tensors[i], reference(data[i]!, shape, codecs[i]!), `tensor ${i}`);
    });
    expect(tensors[5]).toMatchObject({ family: 'raw', dtype: 'int64' });
    // stats, fix, rows, columns; fix, mix, rows, columns; fix, columns; stats, fix, columns twice.
    expect(encoder.lastFrame).toMatchObject({ dispatches: 4 + 4 + 2 + 4, submits: 1, maps: 1 });
  });

  test('lanes on the GPU, sent tables: eight dispatches', async () => {
    const shape = [64, 40, 40];
    const data = smooth(shape, 81, 0.1);
    const [tensor] = await encoder.encode([upload(device, data, shape)], PLAIN);
    expect(encoder.lastFrame).toMatchObject({ dispatches: 8, submits: 1, maps: 1 });
    expect(tensor!.params[1]).toBe(2); // four lanes
    expectSame(tensor, reference(data, shape, PLAIN), 'sent tables');
    // Never more than two bytes per symbol come back.
    expect(encoder.lastFrame.readbackBytes).toBeLessThan(2 * data.length + 4096);
  });

  test('lanes on the GPU with a profile: seven dispatches', async () => {
    const shape = [3, 16, 96, 64];
    const data = smooth(shape, 82);
    const params = { ...PLAIN, profile: MADE_PROFILES.usual, lanes: 16 };
    const [tensor] = await encoder.encode([upload(device, data, shape)], params);
    expect(encoder.lastFrame).toMatchObject({ dispatches: 7, submits: 1, maps: 1 });
    expectSame(tensor, reference(data, shape, params), 'profile');
  });

  test('the same feature again, and other parameters', async () => {
    const shape = [16, 12, 8];
    const data = smooth(shape, 83);
    const feature = upload(device, data, shape);
    const { usual, neighbours } = MADE_PROFILES;
    const wishes: Partial<IsthmusParams>[] = [
      {},
      { profile: usual },
      { quality: 80 },
      { profile: usual, quality: 80 },
      { step: 0.1, profile: usual },
      { targetBytes: 400 },
      { transform: 'none', tables: 'sent' },
      {},
    ];
    for (const wish of wishes) {
      const params = { ...PLAIN, ...wish };
      const [tensor] = await encoder.encode([feature], params);
      expectSame(tensor, reference(data, shape, params), JSON.stringify(Object.keys(wish)));
    }
    await expect(encoder.encode([feature], { ...PLAIN, profile: neighbours })).rejects.toMatchObject({
      code: 'CODEC_INVALID',
      message: expect.stringContaining('does not fall into its blocks'),
    });
  });

  test('more lanes than rows are refused, unless there is nothing to code', async () => {
    const params: IsthmusParams = { ...PLAIN, lanes: 64 };
    const encoded = encoder.encode([upload(device, smooth([3, 8], 84), [3, 8])], params);
    await expect(encoded).rejects.toMatchObject({ code: 'CODEC_INVALID' });
    const [tensor] = await encoder.encode([upload(device, new Float32Array(24).fill(3), [3, 8])], params);
    expectSame(tensor, reference(new Float32Array(24).fill(3), [3, 8], params), 'constant');
  });
});

describe('float16', () => {
  const everything = Uint16Array.from({ length: 65_536 }, (_, i) => (i * 40_503) & 0xffff);
  const cases: [string, IsthmusParams, number[]][] = [
    ['without a profile', PLAIN, [16, 64, 64]],
    ['with a profile', { ...PLAIN, profile: MADE_PROFILES.usual }, [4, 16, 32, 32]],
    ['searched for', { ...PLAIN, targetDistortion: 0.1 }, [16, 64, 64]],
  ];
  test.each(cases)('every pattern, %s', async (_, params, shape) => {
    const [tensor] = await encoder.encode([upload(device, everything, shape, 'float16', 4)], params);
    const wanted = reference(toFloat32(everything), shape, params);
    expectSame(tensor, { ...wanted, dtype: 'float16' }, 'float16');
  });

  test('odd counts', async () => {
    for (const [i, shape] of [[1], [3], [5, 7], [3, 5, 11]].entries()) {
      const halves = toFloat16(smooth(shape, 90 + i));
      const feature = upload(device, halves, shape, 'float16', 4 * i);
      const [tensor] = await encoder.encode([feature], PLAIN);
      const wanted = reference(toFloat32(halves), shape, PLAIN);
      expectSame(tensor, { ...wanted, dtype: 'float16' }, `[${shape}]`);
    }
  });
});
