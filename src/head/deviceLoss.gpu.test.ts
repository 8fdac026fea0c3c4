// What happens when the GPU device goes away, and what repeated runs cost. Devices are caught where the platform makes
// them, so that the test can destroy the very one that the runtime uses.
import { afterEach, beforeAll, expect, test } from 'vitest';
import { decodeTensor } from '../codec/cpu/decode.ts';
import { PRESETS } from '../codec/params.ts';
import { readFrame } from '../wire/readFrame.ts';
import { type BrowserRuntimeOptions, createBrowserRuntime } from './browserRuntime.ts';
import type { HeadRuntime, RuntimeInput } from './runtime.ts';
import { ModelStore } from './store/modelStore.ts';
import { createSafeStore } from './store/safeStore.ts';
import { noise, serveFiles, tinyModel } from './tinyModel.fixture.ts';

const { manifest, files } = await tinyModel();
const tensors: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } },
};
const pixels: RuntimeInput = {
  kind: 'pixels',
  pixels: { width: 64, height: 48, data: new Uint8Array(64 * 48 * 4).map((_, i) => (i * 7) & 255) },
};

/** Every device asked for, newest last; `onDevice` may spoil it at birth. */
const devices: GPUDevice[] = [];
let onDevice: (device: GPUDevice) => void = () => {};
beforeAll(() => {
  const requestDevice = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await requestDevice.apply(this, args);
    devices.push(device);
    onDevice(device);
    return device;
  };
});

let runtime: HeadRuntime;
async function start(device: NonNullable<BrowserRuntimeOptions['device']>): Promise<void> {
  runtime = await createBrowserRuntime({ device, store: new ModelStore({ fetch: serveFiles(files) }) });
  await runtime.load({ manifest, artifacts: '/artifacts' }, 1);
}
afterEach(async () => {
  onDevice = () => {};
  await runtime.close();
});

const feature = async (input: RuntimeInput, cut = 1) =>
  decodeTensor(readFrame((await runtime.head(input, cut, PRESETS.raw)).frame).tensors[0]!)
    .data as Float32Array;

test('a device destroyed while idle or at four moments of a run is replaced, and the answer is right', async () => {
  await start('webgpu');
  const expected = await feature(pixels);
  expect(expected.some((x) => x !== 0)).toBe(true);
  devices.at(-1)!.destroy();
  expect(await feature(pixels)).toEqual(expected);
  for (const moment of [undefined, 0, 4, 20]) {
    const device = devices.at(-1)!;
    const running = feature(pixels);
    if (moment !== undefined) await new Promise((resolve) => setTimeout(resolve, moment));
    device.destroy();
    expect(await running).toEqual(expected);
  }
  expect(runtime.device.kind).toBe('webgpu');
});

test('a second loss is DEVICE_LOST when WebGPU is forced, and the next call works', async () => {
  await start('webgpu');
  const expected = await feature(tensors);
  onDevice = (device) => device.destroy();
  devices.at(-1)!.destroy();
  await expect(runtime.head(tensors, 1, PRESETS.raw)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  onDevice = () => {};
  expect(await feature(tensors)).toEqual(expected);
});

test('a command that the GPU refuses during a run fails the run, never its answer', async () => {
  await start('webgpu');
  const expected = await feature(pixels);
  const device = devices.at(-1)!;
  const { queue } = device;
  const writeTexture = queue.writeTexture.bind(queue);
  queue.writeTexture = (...args: unknown[]) => {
    Reflect.apply(writeTexture, queue, args); // the picture's way to the GPU, then a command that no GPU takes
    device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
  };
  const running = runtime.head(pixels, 1, PRESETS.raw);
  await expect(running).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringContaining('A command on the GPU failed'),
  });
  queue.writeTexture = writeTexture;
  expect(await feature(pixels)).toEqual(expected);
});

test('auto measures both once, remembers, and goes on in WebAssembly when the GPU is gone for good', async () => {
  await start('auto');
  const { measured, kind } = runtime.device;
  expect(measured!.webgpu).toBeGreaterThan(0);
  expect(measured!.wasm).toBeGreaterThan(0);
  expect(kind).toBe(measured!.webgpu! < measured!.wasm! ? 'webgpu' : 'wasm');
  await runtime.close();

  // What was measured is taken over: turn the memory round and see it obeyed.
  const choices = createSafeStore('isthmus-choices');
  const adapter = (await createReport()).adapter;
  const key = [
    'choice',
    adapter,
    manifest.id,
    crossOriginIsolated ? 'threads' : 'single',
    navigator.userAgent,
  ].join('|');
  expect(await choices.get(key)).toEqual({ kind, measured });
  await choices.set(key, { kind: 'webgpu', measured: { webgpu: 1, wasm: 2 } });
  await start('auto');
  expect(runtime.device).toMatchObject({ kind: 'webgpu', measured: { webgpu: 1, wasm: 2 } });

  const expected = await feature(tensors);
  onDevice = (device) => device.destroy();
  devices.at(-1)!.destroy();
  const onWasm = await feature(tensors);
  expect(runtime.device.kind).toBe('wasm');
  expect(runtime.device.note).toContain('lost');
  const scale = Math.max(...expected);
  for (const [i, x] of onWasm.entries()) expect(Math.abs(x - expected[i]!) / scale).toBeLessThan(1e-4);
  await choices.delete([key]);
});

async function createReport() {
  const probe = await createBrowserRuntime({ device: 'webgpu' });
  const { device } = probe;
  await probe.close();
  return device;
}

test('80 runs leave the number of living GPU buffers where it was', async () => {
  let alive = 0;
  onDevice = (device) => {
    const createBuffer = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = createBuffer(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      alive++;
      let destroyed = false;
      buffer.destroy = () => {
        if (!destroyed) alive--;
        destroyed = true;
        destroy();
      };
      return buffer;
    };
  };
  await start('webgpu');
  for (let i = 0; i < 10; i++) await runtime.head(pixels, 1, PRESETS.slicer);
  const before = alive;
  expect(before).toBeGreaterThan(0);
  for (let i = 0; i < 80; i++) await runtime.head(pixels, i & 1, PRESETS.slicer);
  expect(alive - before).toBeLessThanOrEqual(before * 0.05);
});
