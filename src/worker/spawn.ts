// spawnRuntime: the HeadRuntime of a page. It starts the worker, sends inputs and buffers across, and replaces a dead
// worker at the next call, with the segments which that call needs. Importing this file touches no browser API.
import * as Comlink from 'comlink';
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { DeviceReport, HeadRuntime, LoadOptions, Progress, RuntimeInput } from '../head/runtime.ts';
import type { StartOptions, WithDevice, WorkerApi } from './api.ts';
import { createWorkerHandle, startWorker, type WorkerHandle } from './workerHandle.ts';

export interface SpawnOptions extends StartOptions {
  /** Makes the worker from src/worker/entry, for bundlers that cannot follow `new Worker(new URL(…))`. */
  worker?: () => Worker;
}

/** After these the worker cannot be trusted: onnxruntime is stuck with a lost device. */
const FATAL: ErrorCode[] = ['DEVICE_LOST', 'INTERNAL'];
/** onnxruntime never tries again once its .wasm file failed to load; a new worker does. */
const FATAL_AT_LOAD: ErrorCode[] = [...FATAL, 'INFERENCE_FAILED'];

const CLOSED = () => new IsthmusError('CLOSED', 'The session is closed. Connect again.');

/**
 * @throws IsthmusError WORKER_FAILED, or WEBGPU_UNAVAILABLE when WebGPU is forced and absent
 * @example
 * const runtime = await spawnRuntime({ device: 'auto' });
 */
export async function spawnRuntime({ worker, ...options }: SpawnOptions = {}): Promise<HeadRuntime> {
  const make =
    worker ?? (() => new Worker(new URL('./entry.ts', import.meta.url), { type: 'module', name: 'isthmus' }));
  let handle: WorkerHandle | undefined;
  let starting: Promise<WorkerHandle> | undefined;
  let device: DeviceReport;
  /** The model, and the last segment that the present worker has; -2 when it knows nothing. */
  let model: LoadOptions | undefined;
  let there = -2;
  let closed = false;

  async function start(): Promise<WorkerHandle> {
    const fresh = createWorkerHandle(make);
    handle = fresh;
    there = -2;
    try {
      device = (await startWorker(fresh, options)).device;
      return fresh;
    } catch (thrown) {
      fresh.end(closed ? CLOSED() : IsthmusError.from(thrown, 'WORKER_FAILED', 'The worker could not start'));
      throw thrown;
    }
  }

  async function living(): Promise<WorkerHandle> {
    if (closed) throw CLOSED();
    if (starting) return starting;
    if (handle && !handle.dead) return handle;
    starting = start().finally(() => {
      starting = undefined;
    });
    return starting;
  }

  async function ask<T>(
    work: (api: Comlink.Remote<WorkerApi>) => Promise<WithDevice<T>>,
    fatal = FATAL,
  ): Promise<T> {
    const current = await living();
    try {
      const answer = await current.call(work);
      device = answer.device;
      return answer.value;
    } catch (thrown) {
      if (thrown instanceof IsthmusError && fatal.includes(thrown.code)) current.end(thrown);
      throw thrown;
    }
  }

  async function load(options: LoadOptions, last: number, onProgress?: (p: Progress) => void): Promise<void> {
    if (model?.manifest.id !== options.manifest.id) there = -2;
    model = options;
    await ask((api) => api.load(options, last, onProgress && Comlink.proxy(onProgress)), FATAL_AT_LOAD);
    there = Math.max(there, last);
  }

  /** A new worker gets what the call needs and no more: a larger plan may be what the old one died of. */
  async function need<T>(
    last: (m: LoadOptions['manifest']) => number,
    work: (api: Comlink.Remote<WorkerApi>) => Promise<WithDevice<T>>,
  ): Promise<T> {
    await living();
    if (model && there < last(model.manifest)) await load(model, last(model.manifest));
    return ask(work);
  }

  await living();

  return {
    get device() {
      return device;
    },
    load,
    head: (input, cut, codec) =>
      need(
        () => cut,
        async (api) => api.head(await sendable(input), cut, codec),
      ),
    early: (input, plan, onAnswer) =>
      need(
        () => plan.cut,
        async (api) => api.early(await sendable(input), plan, onAnswer && Comlink.proxy(onAnswer)),
      ),
    local: (input) =>
      need(
        (m) => m.segments.length - 1,
        async (api) => api.local(await sendable(input)),
      ),
    remote: (input, format, quality) =>
      need(
        () => -1,
        async (api) => api.remote(await sendable(input), format, quality),
      ),
    gzipFp16Bytes: (input, cut) =>
      need(
        () => cut,
        async (api) => api.gzipFp16Bytes(await sendable(input), cut),
      ),
    async close() {
      if (closed) return;
      closed = true;
      const last = handle;
      if (!last || last.dead) return;
      // GPU memory is given back at once when the worker may tidy up; a busy one is not waited for long.
      await Promise.race([
        last.call((api) => api.close()).catch(() => undefined),
        new Promise((resolve) => setTimeout(resolve, 1000)),
      ]);
      last.end(CLOSED());
    },
  };
}

/** Inputs stay usable for the caller: a bitmap is copied (inside the browser) and the copy is transferred. */
async function sendable(input: RuntimeInput): Promise<RuntimeInput> {
  if (input.kind !== 'bitmap') return input;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(input.bitmap);
  } catch (thrown) {
    throw IsthmusError.from(
      thrown,
      'IMAGE_INVALID',
      'The bitmap was closed or transferred away. Make a new one.',
    );
  }
  return Comlink.transfer({ kind: 'bitmap', bitmap }, [bitmap]);
}
