// The encoder as the head uses it: several tensors per frame, other element types, concurrent frames, growth, refusals,
// a lost device, and what a frame costs in dispatches, submits and maps.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PRESETS, planSlicer, type SlicerParams } from '../params.ts';
import { encodeSlicer } from '../reference/encodeSlicer.ts';
import { toFloat32 } from '../reference/float16.ts';
import { randomBits } from '../reference/vectors.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';

function noise(count: number, seed: number): Float32Array {
  const next = randomBits(seed);
  return Float32Array.from({ length: count }, () => (next() >>> 8) / 2 ** 23 - 1);
}

const reference = (data: Float32Array, params: SlicerParams = PRESETS.slicer) =>
  encodeSlicer(data, [data.length], planSlicer(params));

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

describe('frames', () => {
  test('several tensors of several types: one submit, one map', async () => {
    const a = noise(5000, 1);
    const b = noise(333, 2);
    const ints = BigInt64Array.from({ length: 5 }, (_, i) => BigInt(i) - 2n);
    const bools = Uint8Array.of(1, 0, 1, 1, 0, 1, 1);
    const halves = Uint16Array.from({ length: 9 }, (_, i) => 0x3c00 + i);
    const features = [
      upload(device, a),
      upload(device, ints, [5], 'int64'),
      upload(device, new Float32Array(0), [0, 3]),
      upload(device, b, [333], 'float32', 260),
      upload(device, bools, [7], 'bool', 8),
      upload(device, halves, [3, 3], 'float16'),
    ];
    const tensors = await encoder.encode(features, PRESETS.slicer);
    expectSame(tensors[0], reference(a), 'a');
    expectSame(tensors[3], reference(b), 'b');
    expect(tensors[1]).toMatchObject({ family: 'raw', dtype: 'int64', shape: [5], flags: 0 });
    expect(new BigInt64Array(tensors[1]!.payload.buffer as ArrayBuffer)).toEqual(ints);
    expect(tensors[2]).toMatchObject({ family: 'slicer', flags: 1, params: new Uint8Array(4) });
    expect(tensors[4]!.payload).toEqual(bools);
    expectSame(tensors[5], { ...reference(toFloat32(halves)), dtype: 'float16', shape: [3, 3] }, 'halves');
    expect(encoder.lastFrame).toMatchObject({ dispatches: 21, submits: 1, maps: 1 });
  });

  test('family raw is lossless and dispatches nothing', async () => {
    const data = noise(1001, 3);
    data.set([Number.NaN, -0, Number.POSITIVE_INFINITY]);
    const [tensor] = await encoder.encode([upload(device, data, [7, 11, 13])], PRESETS.raw);
    expect(tensor).toMatchObject({ family: 'raw', dtype: 'float32', shape: [7, 11, 13], flags: 0 });
    expect(tensor!.payload).toEqual(new Uint8Array(data.buffer));
    expect(encoder.lastFrame).toMatchObject({ dispatches: 0, submits: 1, maps: 1 });
  });

  test('a codec for each feature: one submit, one map', async () => {
    const [a, b] = [noise(3000, 15), noise(200, 16)];
    const features = [upload(device, a), upload(device, b)];
    const [first, second] = await encoder.encode(features, [PRESETS['slicer-small'], PRESETS.raw]);
    expectSame(first, reference(a, PRESETS['slicer-small']), 'first');
    expect(second).toMatchObject({ family: 'raw', payload: new Uint8Array(b.buffer) });
    expect(encoder.lastFrame).toMatchObject({ dispatches: 7, submits: 1, maps: 1 });
  });

  test('nothing to encode costs nothing', async () => {
    expect(await encoder.encode([], PRESETS.slicer)).toEqual([]);
    expect(encoder.lastFrame).toMatchObject({ dispatches: 0, submits: 0, maps: 0 });
  });

  test('an asymmetry below 1 costs twelve dispatches', async () => {
    const data = noise(3000, 4);
    const params: SlicerParams = { ...PRESETS.slicer, asymmetry: 0.5 };
    const [tensor] = await encoder.encode([upload(device, data)], params);
    expectSame(tensor, reference(data, params), 'asymmetric');
    expect(encoder.lastFrame.dispatches).toBe(12);
  });

  test('concurrent frames of different sizes and presets do not mix', async () => {
    const sizes = [100, 40_000, 3, 9000, 40_000, 77, 120_000, 1];
    const presets = [PRESETS.slicer, PRESETS['slicer-fine'], PRESETS['slicer-small']];
    const frames = sizes.map((size, i) => ({ data: noise(size, 50 + i), params: presets[i % 3]! }));
    const encoded = await Promise.all(
      frames.map(({ data, params }) => encoder.encode([upload(device, data)], params)),
    );
    frames.forEach(({ data, params }, i) => {
      expectSame(encoded[i]![0], reference(data, params), `frame ${i}`);
    });
  });

  test('the same buffer with new content gives new bytes, and nothing is created again', async () => {
    const feature = upload(device, noise(2000, 5));
    await encoder.encode([feature], PRESETS.slicer);
    const made = { buffers: 0, groups: 0 };
    const { createBuffer, createBindGroup } = device;
    device.createBuffer = (descriptor) => {
      made.buffers++;
      return createBuffer.call(device, descriptor);
    };
    device.createBindGroup = (descriptor) => {
      made.groups++;
      return createBindGroup.call(device, descriptor);
    };
    try {
      for (let i = 0; i < 4; i++) {
        const data = noise(2000, 60 + i);
        device.queue.writeBuffer(feature.buffer, 0, data.buffer as ArrayBuffer);
        const [tensor] = await encoder.encode([feature], PRESETS.slicer);
        expectSame(tensor, reference(data), `round ${i}`);
      }
      expect(made).toEqual({ buffers: 0, groups: 0 });
    } finally {
      Object.assign(device, { createBuffer, createBindGroup });
    }
  });
});

describe('refusals', () => {
  test('non-finite elements under strict, in the second of two tensors', async () => {
    const data = noise(500, 6);
    data[499] = Number.NaN;
    const features = [upload(device, noise(500, 7)), upload(device, data)];
    const strict: SlicerParams = { ...PRESETS.slicer, strict: true };
    await expect(encoder.encode(features, strict)).rejects.toMatchObject({ code: 'FEATURE_NOT_FINITE' });
    const [, tensor] = await encoder.encode(features, PRESETS.slicer);
    expectSame(tensor, reference(data), 'without strict');
  });

  test('a feature above 2^24 elements, or above what the device binds', async () => {
    const { buffer } = upload(device, noise(16, 8));
    const float32 = { buffer, dtype: 'float32' as const };
    const tooMany = encoder.encode([{ ...float32, shape: [2 ** 24 + 1] }], PRESETS.slicer);
    await expect(tooMany).rejects.toMatchObject({ code: 'TOO_LARGE' });
    const tooBig = encoder.encode([{ ...float32, shape: [2 ** 30] }], PRESETS.raw);
    await expect(tooBig).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('a buffer that is too short, misaligned, of the wrong usage, or destroyed', async () => {
    const feature = upload(device, noise(64, 9));
    const refused = (change: object) => encoder.encode([{ ...feature, ...change }], PRESETS.slicer);
    await expect(refused({ shape: [4096] })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(refused({ offset: 2 })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    const plain = device.createBuffer({ size: 256, usage: GPUBufferUsage.COPY_DST });
    await expect(refused({ buffer: plain })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    feature.buffer.destroy();
    await expect(refused({})).rejects.toMatchObject({ code: 'INTERNAL' });
    const data = noise(64, 10);
    const [tensor] = await encoder.encode([upload(device, data)], PRESETS.slicer);
    expectSame(tensor, reference(data), 'after refusals');
  });

  test('a family that the GPU does not have, or another number of codecs than features', async () => {
    const feature = upload(device, noise(64, 14));
    const unknown = encoder.encode([feature], { family: 'zip' } as never);
    await expect(unknown).rejects.toMatchObject({ code: 'CODEC_INVALID' });
    const tooFew = encoder.encode([feature, feature], [PRESETS.raw]);
    await expect(tooFew).rejects.toMatchObject({ code: 'CODEC_INVALID' });
  });

  test('bad parameters', async () => {
    const params = { ...PRESETS.slicer, keep: 2 };
    const encoded = encoder.encode([upload(device, noise(64, 11))], params);
    await expect(encoded).rejects.toMatchObject({ code: 'CODEC_INVALID' });
  });
});

describe('the end', () => {
  test('a destroyed encoder refuses with CLOSED, frames under way too', async () => {
    const other = await GpuEncoder.create(device);
    const feature = upload(device, noise(5000, 12));
    const pending = other.encode([feature], PRESETS.slicer);
    const outcome = expect(pending).rejects.toMatchObject({ code: 'CLOSED' });
    other.destroy();
    await outcome;
    await expect(other.encode([feature], PRESETS.slicer)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('a lost device is DEVICE_LOST: for a frame under way, for the next one, for a new encoder', async () => {
    const mortal = await requestDevice();
    const other = await GpuEncoder.create(mortal);
    const feature = upload(mortal, noise(50_000, 13));
    const pending = other.encode([feature], PRESETS.slicer);
    const outcome = expect(pending).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    await Promise.resolve().then(() => mortal.destroy());
    await outcome;
    await expect(other.encode([feature], PRESETS.slicer)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    await expect(GpuEncoder.create(mortal)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    other.destroy();
  });
});
