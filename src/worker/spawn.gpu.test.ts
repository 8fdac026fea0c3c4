// The worker as the page sees it: real module worker, real HTTP for the segments, real onnxruntime-web. Mostly about
// what must never happen: a call that does not settle, a runtime that does not come back.
import { afterEach, beforeAll, expect, test } from 'vitest';
import { commands } from 'vitest/browser';
import { PRESETS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import type { HeadRuntime, LoadOptions, Progress, RuntimeInput } from '../head/runtime.ts';
import { SegmentCache } from '../head/store/segmentCache.ts';
import { noise, tinyModel } from '../head/tinyModel.fixture.ts';
import { manifestId } from '../model/manifest.ts';
import { readFrame } from '../wire/readFrame.ts';
import { type SpawnOptions, spawnRuntime } from './spawn.ts';

/** The test server serves these as they are; it would take a name without an ending for JavaScript. */
const FOLDER = 'node_modules/.cache/isthmus-worker-test';
const { manifest, files } = await tinyModel();
const WASM = '/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm';
/** Segment 0 only, whatever is asked for. */
const load: LoadOptions = { manifest, artifacts: `/${FOLDER}/0.onnx?` };
/** The last segment as a model of its own: no cut, b → y. */
const { inputs, outputs } = manifest.segments[2]!;
const content = { ...manifest, inputs, outputs, segments: manifest.segments.slice(2), cuts: [] };
const small = { ...content, id: await manifestId(content) };
const tensors: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } },
};

beforeAll(async () => {
  for (const { file, sha256 } of manifest.segments) {
    const base64 = btoa(String.fromCharCode(...files.get(sha256)!));
    await commands.writeFile(`${FOLDER}/${file}`, base64, 'base64');
  }
});

const open: HeadRuntime[] = [];
/** A runtime whose worker the test can kill. */
async function spawn(
  options: SpawnOptions = { device: 'wasm' },
): Promise<{ runtime: HeadRuntime; workers: Worker[] }> {
  const workers: Worker[] = [];
  const worker = () => {
    workers.push(new Worker(new URL('./entry.ts', import.meta.url), { type: 'module', name: 'isthmus' }));
    return workers.at(-1)!;
  };
  const runtime = await spawnRuntime({ worker, ...options });
  open.push(runtime);
  return { runtime, workers };
}
afterEach(async () => {
  for (const runtime of open.splice(0)) await runtime.close();
});

async function failure(promise: Promise<unknown>): Promise<IsthmusError> {
  const outcome = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(outcome).toBeInstanceOf(IsthmusError);
  return outcome as IsthmusError;
}

test('loads over HTTP with progress, runs, and leaves the input to the caller', async () => {
  const { runtime } = await spawn();
  const progress: Progress[] = [];
  await runtime.load(load, 0, (p) => progress.push(p));
  const total = manifest.segments[0]!.bytes;
  await expect.poll(() => progress.at(-1)).toEqual({ stage: 'compile', loaded: total, total });
  const canvas = new OffscreenCanvas(64, 48);
  canvas.getContext('2d')!.fillRect(0, 0, 30, 30);
  const bitmap = canvas.transferToImageBitmap();
  for (let i = 0; i < 2; i++) {
    const { frame, timings } = await runtime.head({ kind: 'bitmap', bitmap }, 0, PRESETS.slicer);
    expect(readFrame(frame).cut).toBe(0);
    expect(Object.keys(timings)).toEqual(['preprocess', 'head', 'encode']);
  }
  expect(bitmap.width).toBe(64);
  expect(runtime.device.kind).toBe('wasm');
});

test('another model takes the place of the first, and runs locally', async () => {
  const { runtime } = await spawn();
  await runtime.load(load, 0);
  await runtime.load({ manifest: small, artifacts: `/${FOLDER}/2.onnx?` }, 0);
  const b: RuntimeInput = {
    kind: 'tensors',
    tensors: { b: { dtype: 'float32', shape: [1, 16, 8, 8], data: noise(1024) } },
  };
  const { outputs } = await runtime.local(b);
  expect(outputs.y!.shape).toEqual([1, 10]);
  expect(outputs.y!.data.some((x) => x !== 0)).toBe(true);
});

test('WebGPU inside the worker: preprocessing, segment and codec on the GPU', async () => {
  const { runtime } = await spawn({ device: 'webgpu' });
  await runtime.load(load, 0);
  const canvas = new OffscreenCanvas(64, 48);
  canvas.getContext('2d')!.fillRect(0, 0, 30, 30);
  const bitmap = canvas.transferToImageBitmap();
  const { frame, rawBytes } = await runtime.head({ kind: 'bitmap', bitmap }, 0, PRESETS.slicer);
  expect(readFrame(frame).tensors[0]!.family).toBe('slicer');
  expect(frame.byteLength).toBeLessThan(rawBytes);
  expect(runtime.device).toMatchObject({ kind: 'webgpu', adapter: expect.stringMatching(/./) });
});

test('errors keep code and message across the boundary', async () => {
  const { runtime } = await spawn();
  await runtime.load(load, 0);
  const wrong = {
    kind: 'tensors',
    tensors: { z: tensors.kind === 'tensors' ? tensors.tensors.x! : never() },
  } as const;
  const error = await failure(runtime.head(wrong, 0, PRESETS.raw));
  expect(error).toMatchObject({ code: 'INPUT_INVALID', name: 'IsthmusError' });
  expect(error.message).toContain("There is no input 'z'");
  expect(
    (await failure(runtime.head({ kind: 'file', bytes: new Uint8Array(99) }, 0, PRESETS.raw))).code,
  ).toBe('IMAGE_INVALID');
  await runtime.head(tensors, 0, PRESETS.raw);
});

test('a terminated worker rejects pending calls within a second, and the next call works', async () => {
  const { runtime, workers } = await spawn();
  await runtime.load(load, 0);
  const pending = failure(runtime.head(tensors, 0, PRESETS.raw));
  const started = performance.now();
  workers[0]!.terminate();
  expect((await pending).code).toBe('WORKER_FAILED');
  expect(performance.now() - started).toBeLessThan(1000);
  const { frame } = await runtime.head(tensors, 0, PRESETS.raw);
  expect(readFrame(frame).cut).toBe(0);
  expect(workers.length).toBe(2);
});

test('a worker in which something throws unasked is replaced as well', async () => {
  const { runtime, workers } = await spawn();
  await runtime.load(load, 0);
  const pending = failure(runtime.head(tensors, 0, PRESETS.raw));
  // No page sends this: the argument list is no list, and Comlink's listener inside the worker throws over it.
  workers[0]!.postMessage({ id: 'x', type: 'APPLY', path: ['head'], argumentList: 5 });
  expect((await pending).code).toBe('WORKER_FAILED');
  await runtime.head(tensors, 0, PRESETS.raw);
});

test('a worker that replaces a dead one loads what the call needs, not all that was ever loaded', async () => {
  const cache = new SegmentCache();
  for (const [sha256, bytes] of files) await cache.write(sha256, bytes);
  const { runtime, workers } = await spawn();
  await runtime.load({ manifest, artifacts: `/${FOLDER}/nothing` }, 2);
  await runtime.local(tensors);
  for (const { sha256 } of manifest.segments.slice(1)) await cache.drop(sha256); // loading them again would fail
  workers[0]!.terminate();
  await expect
    .poll(() => runtime.head(tensors, 0, PRESETS.raw).then(({ frame }) => readFrame(frame).cut), {
      timeout: 30_000,
    })
    .toBe(0);
  expect(workers.length).toBe(2);
});

test('a worker that is being filled is not replaced under it', async () => {
  const cache = new SegmentCache();
  for (const [sha256, bytes] of files) await cache.write(sha256, bytes);
  const workers: Worker[] = [];
  let slow = false;
  /** One that gets to load the whole model late, as over a slow network. */
  const worker = () => {
    const made = new Worker(new URL('./entry.ts', import.meta.url), { type: 'module' });
    const post = made.postMessage.bind(made);
    made.postMessage = (
      message: { path?: string[]; argumentList?: { value: unknown }[] },
      transfer: object,
    ) => {
      const whole = message.path?.[0] === 'load' && message.argumentList?.[1]?.value === 2;
      if (whole && slow) setTimeout(() => post(message, transfer as Transferable[]), 500);
      else post(message, transfer as Transferable[]);
    };
    workers.push(made);
    return made;
  };
  const { runtime } = await spawn({ device: 'wasm', worker, recycle: { runs: 1 } });
  await runtime.load({ manifest, artifacts: `/${FOLDER}/nothing` }, 2);
  await runtime.local(tensors);
  await expect.poll(() => workers.length, { timeout: 20_000 }).toBe(2); // it has run once
  await runtime.load({ manifest, artifacts: `/${FOLDER}/nothing` }, 2); // and the next one is filled
  slow = true;
  workers[1]!.terminate();
  await expect.poll(() => runtime.recovery!.trouble?.code).toBe('WORKER_FAILED');
  // A run that waits is answered by the worker that is filled behind it, and is its last.
  expect(readFrame((await runtime.head(tensors, 0, PRESETS.raw)).frame).cut).toBe(0);
  slow = false;
  await runtime.head(tensors, 0, PRESETS.raw);
  expect(runtime.recovery!.trouble).toBeUndefined();
});

test('another session of the page starts from what the first one compiled', async () => {
  /** Compiled modules that workers were given to start from, one a worker. */
  const given: boolean[] = [];
  const worker = () => {
    const made = new Worker(new URL('./entry.ts', import.meta.url), { type: 'module' });
    const post = made.postMessage.bind(made);
    made.postMessage = (
      message: { path?: string[]; argumentList?: { value?: { wasm?: unknown } }[] },
      transfer: object,
    ) => {
      if (message.path?.[0] === 'start')
        given.push(message.argumentList?.[0]?.value?.wasm instanceof WebAssembly.Module);
      post(message, transfer as Transferable[]);
    };
    return made;
  };
  // Named as the default is found, so that no other test has compiled it.
  const wasmPaths = { wasm: new URL(WASM, location.href).href };
  for (let i = 0; i < 2; i++) {
    const { runtime } = await spawn({ device: 'wasm', worker, wasmPaths });
    await runtime.load(load, 0);
    await runtime.head(tensors, 0, PRESETS.raw);
  }
  expect(given).toEqual([false, true]);
});

test('where the browser denies Web Locks, as with blocked site data, the worker starts and stays', async () => {
  const deny = `navigator.locks.request = () => Promise.reject(new DOMException('denied', 'SecurityError'));`;
  const entry = new URL('./entry.ts', import.meta.url).href;
  const script = [`data:text/javascript,${encodeURIComponent(deny)}`, entry];
  const url = URL.createObjectURL(
    new Blob([script.map((module) => `import ${JSON.stringify(module)};`).join('')], {
      type: 'text/javascript',
    }),
  );
  let made = 0;
  const worker = () => {
    made++;
    return new Worker(url, { type: 'module' });
  };
  const { runtime } = await spawn({ device: 'wasm', worker });
  await runtime.load(load, -1); // onnxruntime does not find its .wasm from a blob
  await new Promise((resolve) => setTimeout(resolve, 100)); // the page would get a free lock by now
  expect(readFrame((await runtime.remote(tensors, 'jpeg', 0.9)).frame).kind).toBe('request');
  expect(made).toBe(1);
});

test('a worker script that is missing fails the start', async () => {
  const missing = () => new Worker('/node_modules/.cache/no-such-worker.js', { type: 'module' });
  expect((await failure(spawnRuntime({ worker: missing }))).code).toBe('WORKER_FAILED');
});

test.each([
  ['no.wasm', 'ort-wasm-simd-threaded.asyncify.wasm'],
  ['page.wasm', 'web page was served instead of the .wasm file'],
])('when %s stands in for the .wasm file the error says what to serve', async (name, advice) => {
  await commands.writeFile(`${FOLDER}/page.wasm`, '<!doctype html><title>Not found</title>');
  const { runtime, workers } = await spawn({
    device: 'wasm',
    wasmPaths: { wasm: `${location.origin}/${FOLDER}/${name}` },
  });
  const error = await failure(runtime.load(load, 0));
  expect(error).toMatchObject({ code: 'INFERENCE_FAILED', message: expect.stringContaining(advice) });
  // onnxruntime gives up for good after this; a fresh worker must not.
  await failure(runtime.load(load, 0));
  expect(workers.length).toBe(2);
});

test('a closed runtime says so', async () => {
  const { runtime } = await spawn();
  await runtime.load(load, 0);
  await runtime.close();
  expect((await failure(runtime.head(tensors, 0, PRESETS.raw))).code).toBe('CLOSED');
  await runtime.close();
});

function never(): never {
  throw new Error('unreachable');
}
