// Choosing under `auto` when one of the two devices cannot run the model; measuring itself is in deviceLoss.gpu.test.ts.
import * as ort from 'onnxruntime-web/webgpu';
import { afterEach, expect, test } from 'vitest';
import { requestGpu } from './device.ts';
import { openEngine } from './openEngine.ts';
import type { SafeStore } from './store/safeStore.ts';
import { tinyModel } from './tinyModel.fixture.ts';

const { manifest, files } = await tinyModel();
const first = files.get(manifest.segments[0]!.sha256)!;
const kept: unknown[] = [];
const store: SafeStore = {
  get: async () => undefined,
  set: async (_, value) => kept.push(value) > 0,
  delete: async () => undefined,
};

const create = ort.InferenceSession.create;
/** Stands for an operator that these devices lack. */
function refuse(...devices: string[]): void {
  const refusing = async (bytes: Uint8Array, options: ort.InferenceSession.SessionOptions) => {
    const provider = options.executionProviders![0]!;
    const name = typeof provider === 'string' ? provider : provider.name;
    if (devices.includes(name)) throw new Error(`Could not find an implementation on ${name}`);
    return create(bytes, options);
  };
  ort.InferenceSession.create = refusing as typeof create;
}
afterEach(() => {
  ort.InferenceSession.create = create;
});

const open = async () => openEngine('auto', await requestGpu(), manifest, first, store);

test('a model that only the GPU can run goes to the GPU, and nothing is remembered', async () => {
  refuse('wasm');
  const engine = await open();
  expect(engine.report.kind).toBe('webgpu');
  expect(engine.has(0)).toBe(true);
  expect(kept).toEqual([]);
  await engine.close();
});

test('a model that only WebAssembly can run goes there and says why', async () => {
  refuse('webgpu');
  const engine = await open();
  expect(engine.report).toMatchObject({ kind: 'wasm', note: expect.stringContaining('on webgpu') });
  await engine.close();
});

test('what is measured on a GPU that was lost meanwhile is not believed', async () => {
  const gpu = await requestGpu();
  const { queue } = gpu.device;
  const { submit } = queue;
  queue.submit = (commands) => {
    submit.call(queue, commands);
    gpu.device.destroy();
  };
  const engine = await openEngine('auto', gpu, manifest, first, store);
  expect(engine.report).toMatchObject({ kind: 'wasm', note: expect.stringContaining('lost') });
  expect(engine.report.measured).toBeUndefined();
  expect(kept).toEqual([]);
  await engine.close();
});

test('a model that neither can run fails with what WebAssembly said', async () => {
  refuse('wasm', 'webgpu');
  await expect(open()).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringContaining('on wasm'),
  });
});
