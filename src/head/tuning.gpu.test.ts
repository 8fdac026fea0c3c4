// The engine looks for a faster tuning once its first answer is out and nothing is asked for; answers stay the same, and
// the next visit finds the result in the browser's own store.
import { createStore, keys } from 'idb-keyval';
import { expect, test } from 'vitest';
import { recallTuning } from '../codec/gpu/autotune.ts';
import { PRESETS } from '../codec/params.ts';
import { requestGpu } from './device.ts';
import { createGpuEngine } from './gpuEngine.ts';
import { openEngine } from './openEngine.ts';
import { createSafeStore, type SafeStore } from './store/safeStore.ts';
import { noise, tinyModel } from './tinyModel.fixture.ts';

const { manifest, files } = await tinyModel();
/** On a busy machine with a software adapter one candidate takes seconds. */
const PATIENT_MS = 60_000;
const x = { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } as const;

test('tunes in the background after the first answer', async () => {
  const gpu = await requestGpu();
  const { device } = gpu;
  // As on hardware: a software adapter is left with what is known of it.
  const handle = { ...gpu, report: { adapter: gpu.report.adapter, software: false } };
  const engine = createGpuEngine(manifest, handle, {}, undefined, PATIENT_MS);
  try {
    await engine.add(0, files.get(manifest.segments[0]!.sha256)!);
    const first = await engine.head({ tensors: { x } }, 0, PRESETS.slicer);
    expect(await recallTuning(device)).toBeUndefined(); // nothing was measured before the answer
    await expect.poll(() => recallTuning(device), { timeout: 90_000 }).toBeDefined();
    const again = await engine.head({ tensors: { x } }, 0, PRESETS.slicer);
    expect(again.tensors).toEqual(first.tensors);
  } finally {
    await engine.close();
  }
});

/** One visit: a device of its own, a store object of its own on the same database. */
async function visit(database: string) {
  const gpu = await requestGpu();
  const { device } = gpu;
  const counts = { reads: 0, kept: 0, measurements: 0, workgroups: new Set<number>() };
  const { createBuffer, createComputePipelineAsync } = device;
  device.createBuffer = (descriptor) => {
    if (descriptor.label === 'isthmus autotune feature') counts.measurements++;
    return createBuffer.call(device, descriptor);
  };
  device.createComputePipelineAsync = (descriptor) => {
    const { WORKGROUP } = descriptor.compute.constants ?? {};
    if (WORKGROUP !== undefined) counts.workgroups.add(WORKGROUP);
    return createComputePipelineAsync.call(device, descriptor);
  };
  const real = createSafeStore(database);
  const store: SafeStore = {
    ...real,
    get: async (key) => {
      const found = await real.get<never>(key);
      counts.reads++;
      return found;
    },
    set: async (key, value) => {
      const isKept = await real.set(key, value);
      counts.kept += isKept ? 1 : 0;
      return isKept;
    },
  };
  const handle = { ...gpu, report: { adapter: gpu.report.adapter, software: false } };
  const engine = createGpuEngine(manifest, handle, {}, store, PATIENT_MS);
  await engine.add(0, files.get(manifest.segments[0]!.sha256)!);
  const { tensors } = await engine.head({ tensors: { x } }, 0, PRESETS.slicer);
  return { device, engine, store, counts, tensors };
}

test('the second visit neither measures nor compiles anything but what the first one found', async () => {
  const database = `isthmus-test-tuning-${Date.now()}`;
  const first = await visit(database);
  await expect.poll(() => first.counts.kept, { timeout: 90_000 }).toBe(1);
  expect(first.counts.measurements).toBe(1);
  const found = await recallTuning(first.device, first.store);
  expect(found).toBeDefined();
  await first.engine.close();
  // Not what this adapter starts with, so that it shows whether the second visit uses it.
  const [key] = await keys(createStore(database, database));
  await first.store.set(String(key), { ...found, workgroup: 64 });

  const second = await visit(database);
  expect(second.counts.workgroups).toEqual(new Set([64]));
  await expect.poll(() => second.counts.reads, { timeout: 90_000 }).toBe(2); // for the encoder, and in the quiet moment
  const again = await second.engine.head({ tensors: { x } }, 0, PRESETS.slicer);
  expect(again.tensors).toEqual(first.tensors);
  expect(second.tensors).toEqual(first.tensors);
  expect(second.counts).toMatchObject({ kept: 0, measurements: 0, workgroups: new Set([64]) });
  await second.engine.close();
});

test('a store that never answers does not hold up the first answer', async () => {
  const gpu = await requestGpu();
  const never = () => new Promise<never>(() => undefined);
  const engine = createGpuEngine(manifest, gpu, {}, { get: never, set: never });
  await engine.add(0, files.get(manifest.segments[0]!.sha256)!);
  const { tensors } = await engine.head({ tensors: { x } }, 0, PRESETS.slicer);
  expect(tensors).toHaveLength(1);
  await engine.close();
});

test('opening an engine hands it the store', async () => {
  const asked: string[] = [];
  const store: SafeStore = {
    get: async (key) => void asked.push(key) as undefined,
    set: async () => true,
    delete: async () => undefined,
  };
  const segment = files.get(manifest.segments[0]!.sha256)!;
  const engine = await openEngine('webgpu', await requestGpu(), manifest, segment, store);
  expect(asked).toEqual([expect.stringMatching(/^tuning 1\|/)]);
  await engine.close();
});

test('closing stops it', async () => {
  const gpu = await requestGpu();
  const handle = { ...gpu, report: { adapter: gpu.report.adapter, software: false } };
  const engine = createGpuEngine(manifest, handle, {}, undefined, PATIENT_MS);
  await engine.close();
  expect(await gpu.whenLost).toMatch(/^destroyed/);
});
