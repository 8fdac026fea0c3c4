// spawnRuntime: the HeadRuntime of a page. It starts the worker, sends inputs and buffers across, and replaces a dead
// worker at the next call, models included. Importing this file touches no browser API.
import * as Comlink from 'comlink';
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { DeviceReport, HeadRuntime, LoadOptions, RuntimeInput } from '../head/runtime.ts';
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
  /** What a new worker has to load before it can stand in for a dead one. */
  let loaded: { options: LoadOptions; last: number } | undefined;
  let closed = false;

  async function start(): Promise<WorkerHandle> {
    const fresh = createWorkerHandle(make);
    handle = fresh;
    try {
      device = (await startWorker(fresh, options)).device;
      if (loaded) {
        const { options, last } = loaded;
        device = (await fresh.call((api) => api.load(options, last))).device;
      }
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

  await living();

  return {
    get device() {
      return device;
    },
    async load(options, last, onProgress) {
      await ask((api) => api.load(options, last, onProgress && Comlink.proxy(onProgress)), FATAL_AT_LOAD);
      const sameModel = loaded?.options.manifest.id === options.manifest.id;
      loaded = { options, last: sameModel ? Math.max(last, loaded!.last) : last };
    },
    head: (input, cut, codec) => ask(async (api) => api.head(await sendable(input), cut, codec)),
    local: (input) => ask(async (api) => api.local(await sendable(input))),
    remote: (input, format, quality) =>
      ask(async (api) => api.remote(await sendable(input), format, quality)),
    gzipFp16Bytes: (input, cut) => ask(async (api) => api.gzipFp16Bytes(await sendable(input), cut)),
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
