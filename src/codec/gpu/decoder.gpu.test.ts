// GPU decoding equals reference decoding bit for bit, refuses what the reference refuses and with the same codes, and
// costs one dispatch, one submit and no map.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { IsthmusError } from '../../errors.ts';
import { type EncodedTensor, PRESETS, planSlicer, type SlicerParams } from '../params.ts';
import { decodeSlicer } from '../reference/decodeSlicer.ts';
import { encodeSlicer } from '../reference/encodeSlicer.ts';
import { toFloat16 } from '../reference/float16.ts';
import { randomBits, VECTORS } from '../reference/vectors.ts';
import { GpuDecoder } from './decoder.ts';
import type { GpuFeature } from './encoder.ts';
import { requestDevice } from './gpuTesting.fixture.ts';
import { HARDWARE, SOFTWARE } from './tuning.ts';

let device: GPUDevice;
let decoder: GpuDecoder;
beforeAll(async () => {
  device = await requestDevice(['subgroups']);
  decoder = await GpuDecoder.create(device);
});
afterAll(() => {
  decoder.destroy();
  device.destroy();
});

/** The bytes of a feature, which is destroyed. */
async function download({ buffer, offset }: GpuFeature, byteLength: number): Promise<Uint8Array> {
  expect(offset ?? 0).toBe(0);
  const size = Math.ceil(byteLength / 4) * 4;
  const { MAP_READ, COPY_DST } = GPUBufferUsage;
  const readback = device.createBuffer({
    label: 'test',
    size: Math.max(4, size),
    usage: MAP_READ | COPY_DST,
  });
  const commands = device.createCommandEncoder();
  if (size > 0) commands.copyBufferToBuffer(buffer, 0, readback, 0, size);
  device.queue.submit([commands.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const bytes = new Uint8Array(readback.getMappedRange().slice(0, byteLength));
  readback.destroy();
  buffer.destroy();
  return bytes;
}

function expectBytes(actual: Uint8Array, wanted: ArrayBufferView, name: string): void {
  const bytes = new Uint8Array(wanted.buffer, wanted.byteOffset, wanted.byteLength);
  expect(actual.length, name).toBe(bytes.length);
  expect(
    actual.findIndex((byte, i) => byte !== bytes[i]),
    `${name}: first differing byte`,
  ).toBe(-1);
}

async function expectDecoded(using: GpuDecoder, encoded: EncodedTensor, name: string): Promise<void> {
  const wanted = decodeSlicer(encoded);
  const [feature] = await using.decode([encoded]);
  expect(feature).toMatchObject({ dtype: encoded.dtype, shape: encoded.shape });
  const data = encoded.dtype === 'float16' ? toFloat16(wanted) : wanted;
  expectBytes(await download(feature!, data.byteLength), data, name);
}

const encodings = VECTORS.filter((v) => !v.refused).map(({ name, shape, plan, data }) => ({
  name,
  encoded: () => encodeSlicer(data(), shape, plan),
}));

describe.each([
  { name: 'hardware', tuning: HARDWARE },
  { name: 'software, subgroups', tuning: { ...SOFTWARE, scan: 'subgroup' } as const },
])('with the $name tuning', ({ tuning }) => {
  let tuned: GpuDecoder;
  beforeAll(async () => {
    tuned = await GpuDecoder.create(device, tuning);
  });
  afterAll(() => tuned.destroy());

  test.each(encodings)('$name', async ({ name, encoded }) => {
    const tensor = encoded();
    await expectDecoded(tuned, tensor, name);
    await expectDecoded(tuned, { ...tensor, dtype: 'float16' }, `${name}, float16`);
  });
});

const noise = (count: number, seed: number, scale = 1) => {
  const next = randomBits(seed);
  return Float32Array.from({ length: count }, () => ((next() >>> 8) / 2 ** 23 - 1) * scale);
};
const encode = (data: Float32Array, params: SlicerParams = PRESETS.slicer) =>
  encodeSlicer(data, [data.length], planSlicer(params));

test('float16 rounds: halves beyond 65504, subnormal halves, ties', async () => {
  const params: SlicerParams = { ...PRESETS['slicer-fine'], blocks: 16 };
  for (const scale of [1e6, 65_520, 1e-4, 1e-7, 3e-8])
    await expectDecoded(decoder, { ...encode(noise(3001, 5, scale), params), dtype: 'float16' }, `${scale}`);
});

test('large, sparse and dense', async () => {
  for (const params of [PRESETS.slicer, { ...PRESETS['slicer-sparse'], keep: 0.01 }, PRESETS['slicer-fine']])
    await expectDecoded(decoder, encode(noise(300_001, 6), params), `keep ${params.keep}`);
});

test('several tensors of several families: one submit, no map', async () => {
  const [a, b] = [encode(noise(5000, 1)), encode(noise(333, 2), PRESETS['slicer-small'])];
  const raw = (dtype: EncodedTensor['dtype'], payload: Uint8Array, count: number): EncodedTensor => {
    return { family: 'raw', dtype, shape: [count], flags: 0, params: new Uint8Array(0), payload };
  };
  const bytes = Uint8Array.from({ length: 41 }, (_, i) => i);
  const halves = raw('float16', bytes.subarray(1, 15), 7); // neither aligned nor whole words
  const floats = raw('float32', bytes.slice(0, 40), 10);
  const none = raw('float32', new Uint8Array(0), 0);
  const features = await decoder.decode([a, halves, floats, none, b]);
  expect(decoder.lastFrame).toMatchObject({ dispatches: 2, submits: 1, maps: 0 });
  expectBytes(await download(features[0]!, 20_000), decodeSlicer(a), 'a');
  expectBytes(await download(features[1]!, 14), halves.payload, 'halves');
  expectBytes(await download(features[2]!, 40), floats.payload, 'floats');
  expectBytes(await download(features[3]!, 0), none.payload, 'none');
  expectBytes(await download(features[4]!, 1332), decodeSlicer(b), 'b');
});

test('calls under way together do not mix', async () => {
  const encoded = [100, 40_000, 3, 9000, 77, 60_000].map((count, i) => encode(noise(count, 20 + i)));
  const features = await Promise.all(encoded.map((tensor) => decoder.decode([tensor])));
  for (const [i, [feature]] of features.entries()) {
    const wanted = decodeSlicer(encoded[i]!);
    expectBytes(await download(feature!, wanted.byteLength), wanted, `call ${i}`);
  }
});

/** The code of the refusal, or undefined. */
async function codeOf(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (e) {
    if (e instanceof IsthmusError) return e.code;
    throw e;
  }
}

describe('refusals', () => {
  const seeds = encodings.map((e) => e.encoded()).filter((e) => e.shape.reduce((a, b) => a * b) <= 1300);

  test('changed tensors: accepted and refused exactly as by the reference, with the same values', async () => {
    const next = randomBits(4711);
    const outcomes = { accepted: 0, refused: 0 };
    for (let n = 0; n < 1500; n++) {
      const seed = seeds[next() % seeds.length]!;
      const [params, payload] = [seed.params.slice(), seed.payload.slice()];
      const target = payload.length > 0 && next() % 4 ? payload : params;
      target[next() % target.length]! ^= next() % 3 ? 1 << (next() & 7) : next();
      const tensor = { ...seed, params, payload, flags: next() % 8 ? seed.flags : next() & 7 };
      const reference = await codeOf(() => decodeSlicer(tensor));
      let features: GpuFeature[] = [];
      const gpu = await codeOf(async () => {
        features = await decoder.decode([tensor]);
      });
      expect(gpu, `case ${n}`).toBe(reference);
      outcomes[gpu === undefined ? 'accepted' : 'refused']++;
      if (gpu === undefined && n % 4 === 0) {
        const wanted = decodeSlicer(tensor);
        expectBytes(await download(features[0]!, wanted.byteLength), wanted, `case ${n}`);
      } else {
        features[0]?.buffer.destroy();
      }
    }
    console.info('changed tensors:', outcomes);
    expect(outcomes.accepted).toBeGreaterThan(200);
    expect(outcomes.refused).toBeGreaterThan(200);
  });

  test('shapes and sizes that are declared, families and types that are not decoded here', async () => {
    const tensor = encode(noise(64, 3));
    const refused = (change: Partial<EncodedTensor>, limits?: { outputBytes: number }) =>
      codeOf(() => decoder.decode([{ ...tensor, ...change }], limits));
    expect(await refused({ shape: [2 ** 31 - 1, 2 ** 31 - 1] })).toBe('TOO_LARGE');
    expect(await refused({ shape: [2 ** 25] }, { outputBytes: 2 ** 30 })).toBe('FRAME_INVALID');
    expect(await refused({}, { outputBytes: 255 })).toBe('TOO_LARGE');
    expect(await refused({ shape: [-64] })).toBe('FRAME_INVALID');
    expect(await refused({ shape: [1, 1, 1, 1, 1, 1, 1, 1, 64] })).toBe('FRAME_INVALID');
    expect(await refused({ shape: [65] })).toBe('FRAME_INVALID');
    expect(await refused({ dtype: 'int32' })).toBe('FRAME_INVALID');
    expect(await refused({ payload: tensor.payload.subarray(1) })).toBe('FRAME_INVALID');
    expect(await refused({ family: 'image' })).toBe('CODEC_INVALID');
    expect(await refused({ family: 'raw' })).toBe('FRAME_INVALID');
  });

  test('one bad tensor among good ones leaves no buffer behind', async () => {
    const made: GPUBuffer[] = [];
    const { createBuffer } = device;
    device.createBuffer = (descriptor) => {
      const buffer = createBuffer.call(device, descriptor);
      made.push(buffer);
      return buffer;
    };
    try {
      const good = encode(noise(64, 3));
      const bad = { ...good, payload: good.payload.map((byte) => ~byte) };
      expect(await codeOf(() => decoder.decode([good, bad]))).toBe('FRAME_INVALID');
      expect(made).toEqual([]);
    } finally {
      Object.assign(device, { createBuffer });
    }
  });
});

test('a destroyed decoder refuses with CLOSED, a lost device with DEVICE_LOST', async () => {
  const tensor = encode(noise(64, 3));
  const other = await GpuDecoder.create(device);
  other.destroy();
  expect(await codeOf(() => other.decode([tensor]))).toBe('CLOSED');
  const mortal = await requestDevice();
  const third = await GpuDecoder.create(mortal);
  mortal.destroy();
  expect(await codeOf(() => third.decode([tensor]))).toBe('DEVICE_LOST');
  expect(await codeOf(() => GpuDecoder.create(mortal))).toBe('DEVICE_LOST');
});
