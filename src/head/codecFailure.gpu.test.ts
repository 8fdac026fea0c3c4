// A GPU that runs the model but not the codec's shaders, as a driver may: `auto` goes on in WebAssembly, and who asked for WebGPU
// is told.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PRESETS } from '../codec/params.ts';
import { readFrame } from '../wire/readFrame.ts';
import { createBrowserRuntime } from './browserRuntime.ts';
import { requestGpu } from './device.ts';
import type { RuntimeInput } from './runtime.ts';
import { ModelStore } from './store/modelStore.ts';
import { createSafeStore } from './store/safeStore.ts';
import { noise, serveFiles, tinyModel } from './tinyModel.fixture.ts';

const { manifest, files } = await tinyModel();
const tensors: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } },
};
const choices = createSafeStore('isthmus-choices');
let key: string;
/** Pipelines whose label begins so do not compile. */
let failing: string;

beforeAll(async () => {
  const gpu = await requestGpu();
  gpu.device.destroy();
  const threads = crossOriginIsolated ? 'threads' : 'single';
  key = ['choice', gpu.report.adapter, manifest.id, threads, navigator.userAgent].join('|');
  // What `auto` remembers of an earlier visit.
  await choices.set(key, { kind: 'webgpu', measured: { webgpu: 1, wasm: 2 } });
  const requestDevice = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await requestDevice.apply(this, args);
    const { createComputePipelineAsync } = device;
    device.createComputePipelineAsync = (descriptor) =>
      descriptor.label?.startsWith(failing)
        ? Promise.reject(new Error('the driver found no registers'))
        : createComputePipelineAsync.call(device, descriptor);
    return device;
  };
});

afterAll(() => choices.delete([key]));

const start = (device: 'auto' | 'webgpu') =>
  createBrowserRuntime({ device, store: new ModelStore({ fetch: serveFiles(files) }) });

test.each([
  ['while loading', 'isthmus isthmus', PRESETS.isthmus],
  ['at the first frame', 'isthmus rans', PRESETS.rans],
])('pipelines fail %s', async (_, label, codec) => {
  failing = label;
  const runtime = await start('auto');
  await runtime.load({ manifest, artifacts: '/artifacts' }, 1);
  const { frame } = await runtime.head(tensors, 1, codec);
  expect(readFrame(frame).tensors[0]).toMatchObject({ family: codec.family, shape: [1, 16, 8, 8] });
  expect(runtime.device).toMatchObject({ kind: 'wasm', note: expect.stringContaining('given up') });
  await runtime.close();

  const forced = await start('webgpu');
  const failed = forced
    .load({ manifest, artifacts: '/artifacts' }, 1)
    .then(() => forced.head(tensors, 1, codec));
  await expect(failed).rejects.toMatchObject({
    code: 'INTERNAL',
    message: expect.stringContaining('adapter'),
  });
  await forced.close();
});
