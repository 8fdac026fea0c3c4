// Autotuning on the adapter at hand: it ends in time, remembers, survives a bad store, and picks what it measured.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PRESETS, planSlicer } from '../params.ts';
import { encodeSlicer } from '../reference/encodeSlicer.ts';
import { autotune, recallTuning, type TuningStore } from './autotune.ts';
import { GpuEncoder } from './encoder.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';
import { SOFTWARE } from './tuning.ts';

function memory(): TuningStore & { entries: Map<string, unknown> } {
  const entries = new Map<string, unknown>();
  return {
    entries,
    get: async (key) => entries.get(key),
    set: async (key, value) => entries.set(key, value),
  };
}

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice(['subgroups']);
});
afterAll(() => device.destroy());

test('measures, remembers the winner, and an encoder that works goes on with it', async () => {
  const encoder = await GpuEncoder.create(device, SOFTWARE);
  const data = Float32Array.from({ length: 40_000 }, (_, i) => Math.sin(i) * i);
  const wanted = encodeSlicer(data, [data.length], planSlicer(PRESETS.slicer));
  const feature = upload(device, data);
  const before = encoder.encode([feature], PRESETS.slicer);

  const store = memory();
  const { tuning, measured } = await autotune(device, { store, budget: 20_000 });
  expect(measured).toHaveLength(4);
  expect(new Set(measured.map((m) => m.tuning.scan))).toEqual(new Set(['shared', 'subgroup']));
  expect(measured.map((m) => m.tuning)).toContainEqual(tuning);
  expect(await recallTuning(device, store)).toEqual(tuning);
  expect(await autotune(device, { store })).toEqual({ tuning, measured: [] });

  encoder.tuning = tuning;
  expectSame((await before)[0], wanted, 'under way');
  expectSame((await encoder.encode([feature], PRESETS.slicer))[0], wanted, 'afterwards');
  encoder.destroy();
});

test('ends when its time is up', async () => {
  const began = performance.now();
  await autotune(device, { store: memory(), budget: 300 });
  expect(performance.now() - began).toBeLessThan(2000); // what is under way may hold the CPU for a moment
});

test('no time, or told to stop: the default, and nothing is remembered', async () => {
  const store = memory();
  const stopped = await autotune(device, { store, signal: AbortSignal.abort() });
  expect(stopped).toEqual({ tuning: SOFTWARE, measured: [] });
  expect(await autotune(device, { store, budget: 0 })).toEqual({ tuning: SOFTWARE, measured: [] });
  expect(store.entries.size).toBe(0);
});

test('a store that holds nonsense or fails is an empty store', async () => {
  const store = memory();
  await autotune(device, { store, budget: 20_000 });
  const [key] = store.entries.keys();
  for (const nonsense of [null, 7, {}, { ...SOFTWARE, workgroup: 1e9 }, { ...SOFTWARE, scan: 'x' }]) {
    store.entries.set(key!, nonsense);
    expect(await recallTuning(device, store)).toBeUndefined();
  }
  store.entries.set(key!, { ...SOFTWARE, scan: 'subgroup' });
  expect(await recallTuning(device, store)).toEqual({ ...SOFTWARE, scan: 'subgroup' });
  const plain = await requestDevice();
  const other = { get: async () => ({ ...SOFTWARE, scan: 'subgroup' }), set: async () => undefined };
  expect(await recallTuning(plain, other)).toBeUndefined(); // a device without the feature cannot run it
  plain.destroy();
  const failing = { get: () => Promise.reject(new Error('no')), set: () => Promise.reject(new Error('no')) };
  const { tuning } = await autotune(device, { store: failing, budget: 300 });
  expect(tuning.workgroup).toBeGreaterThan(0);
});

test('a lost device leaves the default', async () => {
  const mortal = await requestDevice();
  mortal.destroy();
  expect(await autotune(mortal, { store: memory() })).toEqual({ tuning: SOFTWARE, measured: [] });
});
