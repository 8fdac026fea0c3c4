// Requests that run together, with real onnxruntime-node in real threads: the same answers as alone, and no request that
// pays for its neighbour's fault.
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { encodeFrame } from '../../codec/index.ts';
import { concreteShape } from '../../model/manifest.ts';
import { elementCount, type Tensors } from '../../tensor.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { loadRegistry } from '../models/modelStore.ts';
import { mixingModel, testModels, wave } from '../testModels.fixture.ts';
import type { ModelFiles, TailBackend } from './backend.ts';
import { BatchSizer } from './batchSizer.ts';
import { createOrtBackend } from './ortBackend.ts';
import { createThreads } from './threads.ts';
import type { ThreadsOptions } from './threadsOptions.ts';

const open: TailBackend[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((backend) => backend.close()));
});

function backendOf(options: ThreadsOptions = {}) {
  const sizes: number[] = [];
  const threads = createThreads({ threads: 1, onBatch: (size) => sizes.push(size), ...options });
  const backend = createOrtBackend(threads);
  open.push(backend);
  return { backend, threads, sizes };
}

/** A feature of the model's cut, another one for each seed. */
function feature({ manifest }: ModelFiles, cut: number, seed: number): Tensors {
  const info = manifest.cuts[cut]!.tensors[0]!;
  const shape = concreteShape(info);
  const data = wave(elementCount(shape) + seed)
    .subarray(seed)
    .slice();
  return { [info.name]: { dtype: 'float32', shape, data } };
}

const scores = async (result: ReturnType<TailBackend['infer']>) =>
  Object.values((await result).outputs)[0]!.data as Float32Array;

/** Sends many at once, again and again, until batches have formed. */
async function untilTogether(sizes: number[], round: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < 60 && !sizes.some((size) => size > 1); n++) await round();
  expect(Math.max(...sizes)).toBeGreaterThan(1);
}

const largest = (values: Float32Array) => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

function expectClose(got: Float32Array, want: Float32Array) {
  expect(got.length).toBe(want.length);
  const difference = got.reduce((most, x, i) => Math.max(most, Math.abs(x - want[i]!)), 0);
  expect(difference).toBeLessThanOrEqual(1e-5 * largest(want));
}

test('at every cut of the embedded model, answers of a batch are those of single runs', async () => {
  const model = (await loadRegistry('models')).models.get('neck10')!;
  const alone = backendOf({ maxBatch: 1 });
  const seeds = [0, 1, 2, 3, 4, 5, 6];
  for (const cut of model.manifest.cuts.keys()) {
    const { backend, sizes } = backendOf();
    const want = await Promise.all(
      seeds.map((s) => scores(alone.backend.infer(model, cut + 1, feature(model, cut, s), { id: 'a' }))),
    );
    expect(want[1]).not.toEqual(want[2]);
    await untilTogether(sizes, async () => {
      const got = seeds.map((s) =>
        scores(backend.infer(model, cut + 1, feature(model, cut, s), { id: 't' })),
      );
      for (const [i, answer] of (await Promise.all(got)).entries()) expectClose(answer, want[i]!);
    });
    await backend.close();
  }
  expect(Math.max(...alone.sizes)).toBe(1);
});

test('with a full queue and work given ahead, everybody gets the own answer', async () => {
  const model = (await loadRegistry((await testModels()).dir)).models.get('tiny')!;
  const { backend, threads, sizes } = backendOf();
  const alone = backendOf({ maxBatch: 1 }).backend;
  const seeds = Array.from({ length: 60 }, (_, i) => i);
  const ask = (on: TailBackend) =>
    seeds.map((s) => scores(on.infer(model, 1, feature(model, 0, s), { id: String(s) })));
  const want = await Promise.all(ask(alone));
  expect(new Set(want.map(String)).size).toBe(seeds.length);
  for (let round = 0; round < 5; round++) {
    const got = ask(backend);
    // One batch of sixteen runs, one is at hand; everything else waits.
    expect(threads.waiting).toBeGreaterThanOrEqual(seeds.length - 2 * 16);
    for (const [i, answer] of (await Promise.all(got)).entries()) expectClose(answer, want[i]!);
  }
  expect(sizes.reduce((a, b) => a + b, 0)).toBe(5 * seeds.length);
});

test('who waits for a partner that never comes is run when the timer says so, whatever the clock says', async () => {
  const model = (await loadRegistry((await testModels()).dir)).models.get('tiny')!;
  const { backend } = backendOf();
  const ask = () => scores(backend.infer(model, 1, feature(model, 0, 1), { id: 'p' }));
  const want = await ask();
  const spies = [
    vi.spyOn(BatchSizer.prototype, 'limit', 'get').mockReturnValue(4),
    vi.spyOn(BatchSizer.prototype, 'wait').mockReturnValue(1),
    // Timers may fire before performance.now() says that their time has come; here they always do.
    vi.spyOn(performance, 'now').mockReturnValue(performance.now()),
  ];
  try {
    expect(await ask()).toEqual(want);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
});

test('encoded features of several codecs run together, each with its own profile', async () => {
  const model = (await loadRegistry('models')).models.get('neck10')!;
  const { backend, sizes } = backendOf();
  const cut = 1;
  const name = model.manifest.cuts[cut]!.tensors[0]!.name;
  const profile = model.profiles.get(model.manifest.cuts[cut]!.profile!.sha256.slice(0, 16))!;
  const codecs = ['raw', 'slicer', 'isthmus', { family: 'isthmus', quality: 60, profile }] as const;
  const encoded = codecs.map((codec, i) => {
    const tensor = Object.values(feature(model, cut, i))[0]!;
    return () => ({ [name]: readFrame(encodeFrame([tensor], { codec })).tensors[0]! });
  });
  const alone = backendOf({ maxBatch: 1 }).backend;
  const want: Float32Array[] = [];
  for (const make of encoded)
    want.push(await scores(alone.inferEncoded!(model, cut + 1, make(), { id: 'a' })));
  await untilTogether(sizes, async () => {
    const got = encoded.map((make) => scores(backend.inferEncoded!(model, cut + 1, make(), { id: 't' })));
    for (const [i, answer] of (await Promise.all(got)).entries()) expectClose(answer, want[i]!);
  });
});

test('a model that mixes what stands in its first dimension is never run together', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-mixing-'));
  const { manifest, files } = await mixingModel();
  for (const [name, content] of files) await writeFile(join(dir, name), content);
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest));
  const model = (await loadRegistry(dir)).models.get(manifest.name)!;
  const { backend, sizes } = backendOf();
  const alone = backendOf({ maxBatch: 1 }).backend;
  const want = await scores(alone.infer(model, 1, feature(model, 0, 1), { id: 'a' }));
  for (let round = 0; round < 5; round++) {
    const got = [1, 2, 3, 4].map((s) => scores(backend.infer(model, 1, feature(model, 0, s), { id: 'm' })));
    expect((await Promise.all(got))[0]).toEqual(want);
  }
  expect(new Set(sizes)).toEqual(new Set([1]));
});

test('damaged, cancelled and expired requests leave their neighbours alone', async () => {
  const { models } = await loadRegistry((await testModels()).dir);
  const [tiny, slow] = [models.get('tiny')!, models.get('slow')!];
  const { backend, sizes } = backendOf({ maxBatchWaitMs: 0 });
  const good = (s: number) => backend.infer(tiny, 1, feature(tiny, 0, s), { id: `good ${s}` });
  const want = await scores(good(5));
  await untilTogether(sizes, () => Promise.all([1, 2, 3, 4, 5, 6].map(good)));
  sizes.length = 0;

  // Behind a slow request, so that all of them wait when the next run is put together.
  const busy = backend.infer(slow, 1, feature(slow, 0, 0), { id: 'busy' });
  const info = tiny.manifest.cuts[0]!.tensors[0]!;
  const raw = Object.values(feature(tiny, 0, 9))[0]!;
  const whole = readFrame(encodeFrame([raw], { codec: 'isthmus' })).tensors[0]!;
  const broken = { ...whole, payload: whole.payload.slice(0, 8) };
  const neighbours = [good(5), good(5)];
  const damaged = backend.inferEncoded!(tiny, 1, { [info.name]: broken }, { id: 'damaged' });
  const expired = backend.infer(tiny, 1, feature(tiny, 0, 1), { id: 'late', deadline: Date.now() + 20 });
  const controller = new AbortController();
  const gone = backend.infer(tiny, 1, feature(tiny, 0, 1), { id: 'gone', signal: controller.signal });
  neighbours.push(good(5));
  controller.abort();
  await expect(gone).rejects.toMatchObject({ name: 'AbortError' });
  await expect(expired).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await expect(damaged).rejects.toMatchObject({ code: 'FRAME_INVALID' });
  for (const answer of neighbours) expectClose(await scores(answer), want);
  await busy;
  expect(Math.max(...sizes)).toBeGreaterThan(1);
});
