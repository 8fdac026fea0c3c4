// The browser runtime on real onnxruntime-web and real WebGPU (a software adapter here): same numbers on both devices,
// frames that decode to the feature, typed errors, no growth.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeTensor } from '../codec/cpu/decode.ts';
import { encodeTensor } from '../codec/cpu/encode.ts';
import { PRESETS } from '../codec/params.ts';
import { sha256Hex } from '../model/manifest.ts';
import type { Tensor } from '../tensor.ts';
import { readFrame } from '../wire/readFrame.ts';
import { createBrowserRuntime } from './browserRuntime.ts';
import type { HeadRuntime, RuntimeInput } from './runtime.ts';
import { ModelStore } from './store/modelStore.ts';
import { noise, serveFiles, tinyModel } from './tinyModel.fixture.ts';

const { manifest, files } = await tinyModel();
const tensors: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } },
};

async function runtimeOn(
  device: 'webgpu' | 'wasm',
  model = { manifest, files },
  last = 2,
): Promise<HeadRuntime> {
  const store = new ModelStore({ fetch: serveFiles(model.files) });
  const runtime = await createBrowserRuntime({ device, store });
  await runtime.load({ manifest: model.manifest, artifacts: '/artifacts' }, last);
  return runtime;
}

let gpu: HeadRuntime;
let wasm: HeadRuntime;
beforeAll(async () => {
  gpu = await runtimeOn('webgpu');
  wasm = await runtimeOn('wasm');
});
afterAll(async () => {
  await gpu.close();
  await wasm.close();
});

const values = (t: Tensor) => t.data as Float32Array;
function relativeDifference(a: Float32Array, b: Float32Array): number {
  const scale = Math.max(...b.map(Math.abs));
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / scale;
}
function decoded(frame: Uint8Array): Tensor {
  return decodeTensor(readFrame(frame).tensors[0]!);
}

test('webgpu and wasm compute the same', async () => {
  expect(gpu.device).toMatchObject({ kind: 'webgpu', software: true });
  expect(wasm.device.kind).toBe('wasm');
  const a = await gpu.local(tensors);
  const b = await wasm.local(tensors);
  expect(a.outputs.y!.shape).toEqual([1, 10]);
  expect(relativeDifference(values(a.outputs.y!), values(b.outputs.y!))).toBeLessThan(1e-4);
  for (const cut of [0, 1]) {
    const [x, y] = [await gpu.head(tensors, cut, PRESETS.raw), await wasm.head(tensors, cut, PRESETS.raw)];
    expect(readFrame(x.frame)).toMatchObject({ kind: 'request', cut, modelTag: manifest.id.slice(0, 16) });
    expect(x.rawBytes).toBe(manifest.cuts[cut]!.rawBytes);
    expect(relativeDifference(values(decoded(x.frame)), values(decoded(y.frame)))).toBeLessThan(1e-4);
  }
});

test('a slicer frame has the bytes that the CPU encoder makes of the same feature', async () => {
  const feature = decoded((await gpu.head(tensors, 0, PRESETS.raw)).frame);
  for (const preset of [PRESETS.slicer, PRESETS['slicer-fine'], PRESETS['slicer-small']]) {
    const { frame, timings } = await gpu.head(tensors, 0, preset);
    const expected = encodeTensor(feature, preset);
    expect(readFrame(frame).tensors[0]!.payload).toEqual(expected.payload);
    expect(readFrame(frame).tensors[0]!.params).toEqual(expected.params);
    expect(timings.head).toBeGreaterThan(0);
    // A feature this small may be encoded within one tick of the browser's coarse clock.
    expect(timings.encode).toBeGreaterThanOrEqual(0);
  }
});

test('pictures of all kinds give nearly the same feature on both devices, and leave as JPEG or WebP', async () => {
  const canvas = new OffscreenCanvas(120, 90);
  const context = canvas.getContext('2d')!;
  const ramp = context.createLinearGradient(0, 0, 120, 90);
  ramp.addColorStop(0, '#e63');
  ramp.addColorStop(1, '#36a');
  context.fillStyle = ramp;
  context.fillRect(0, 0, 120, 90);
  const image = context.getImageData(0, 0, 120, 90);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer());
  const bitmap = await createImageBitmap(image);
  const inputs: RuntimeInput[] = [
    { kind: 'pixels', pixels: { width: 120, height: 90, data: image.data } },
    { kind: 'file', bytes },
    { kind: 'bitmap', bitmap },
  ];
  const expected = values(decoded((await wasm.head(inputs[0]!, 0, PRESETS.raw)).frame));
  for (const runtime of [gpu, wasm]) {
    for (const input of inputs) {
      const { frame, timings } = await runtime.head(input, 0, PRESETS.raw);
      expect(timings.preprocess).toBeGreaterThan(0);
      expect(relativeDifference(values(decoded(frame)), expected)).toBeLessThan(0.02);
    }
  }
  for (const [format, code] of [
    ['jpeg', 0],
    ['webp', 1],
  ] as const) {
    const { frame, rawBytes } = await gpu.remote(inputs[1]!, format, 0.9);
    const read = readFrame(frame);
    expect(read.cut).toBe(0xffff);
    expect(read.tensors[0]).toMatchObject({
      family: 'image',
      shape: [32, 32, 3],
      params: new Uint8Array([code, 1, 0, 0]),
    });
    const sent = await createImageBitmap(new Blob([read.tensors[0]!.payload as Uint8Array<ArrayBuffer>]));
    expect([sent.width, sent.height, sent.close()]).toEqual([32, 32, undefined]);
    expect(rawBytes).toBe(12288);
  }
  expect(decoded((await gpu.remote(tensors, 'jpeg', 0.9)).frame).data).toEqual(noise(3072, 7));
  expect(bitmap.width).toBe(120);
});

test('the gzip yardstick is what gzip makes of the float16 feature', async () => {
  const feature = decoded((await wasm.head(tensors, 0, PRESETS.raw)).frame);
  const weight = await wasm.gzipFp16Bytes(tensors, 0);
  expect(weight).toBeGreaterThan(200);
  expect(weight).toBeLessThan(feature.data.length * 2);
});

test('wrong inputs are refused by name and the runtime goes on', async () => {
  const float = (shape: number[], count: number): Tensor => ({
    dtype: 'float32',
    shape,
    data: new Float32Array(count),
  });
  const cases: [RuntimeInput, string, RegExp][] = [
    [{ kind: 'tensors', tensors: {} }, 'INPUT_INVALID', /'x' is missing.*x: float32\[1,3,32,32\]/],
    [
      { kind: 'tensors', tensors: { x: float([3, 32, 32], 3072) } },
      'INPUT_INVALID',
      /shape \[3,32,32\], not \[1,3,32,32\]/,
    ],
    [{ kind: 'tensors', tensors: { x: float([1, 3, 32, 32], 9) } }, 'INPUT_INVALID', /3072 elements/],
    [
      {
        kind: 'tensors',
        tensors: { x: { dtype: 'uint8', shape: [1, 3, 32, 32], data: new Uint8Array(3072) } },
      },
      'INPUT_INVALID',
      /uint8, not float32/,
    ],
    [{ kind: 'file', bytes: new TextEncoder().encode('no picture') }, 'IMAGE_INVALID', /JPEG, PNG or WebP/],
    [{ kind: 'file', bytes: new Uint8Array(50 * 2 ** 20) }, 'IMAGE_TOO_LARGE', /50\.0 MiB.*40 MiB/],
    [{ kind: 'file', bytes: hugePng() }, 'IMAGE_TOO_LARGE', /30000×30000/],
    [
      { kind: 'pixels', pixels: { width: 4, height: 4, data: new Uint8Array(5) } },
      'IMAGE_INVALID',
      /64 RGBA bytes/,
    ],
  ];
  for (const [input, code, message] of cases) {
    await expect(wasm.head(input, 0, PRESETS.raw)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  }
  await expect(wasm.head(tensors, 7, PRESETS.raw)).rejects.toMatchObject({ code: 'CUT_INVALID' });
  await wasm.head(tensors, 0, PRESETS.raw);

  const other = await runtimeOn('wasm', await tinyModel(null), -1);
  await expect(other.head({ kind: 'file', bytes: hugePng() }, 0, PRESETS.raw)).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('Pass tensors: x: float32[1,3,32,32]'),
  });
});

test('bytes that are no model fail the load with a typed error', async () => {
  const junk = noise(100);
  const bytes = new Uint8Array(junk.buffer);
  const sha256 = await sha256Hex(bytes);
  const segments = [
    { ...manifest.segments[0]!, sha256, bytes: bytes.byteLength },
    ...manifest.segments.slice(1),
  ];
  const model = { manifest: { ...manifest, segments }, files: new Map([[sha256, bytes]]) };
  await expect(runtimeOn('wasm', model)).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
});

/** The header of a PNG of 900 megapixels. */
function hugePng(): Uint8Array {
  const header = new DataView(new ArrayBuffer(64));
  header.setUint32(0, 0x89504e47);
  header.setUint32(16, 30_000);
  header.setUint32(20, 30_000);
  return new Uint8Array(header.buffer);
}
