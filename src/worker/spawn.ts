// spawnRuntime: the HeadRuntime of a page. It starts the worker, sends inputs and buffers across, and replaces a dead worker at
// once, in the background, with the segments that calls needed last. Importing this file touches no browser API.
import * as Comlink from 'comlink';
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type {
  DeviceReport,
  HeadResult,
  HeadRuntime,
  LoadOptions,
  Progress,
  Recovery,
} from '../head/runtime.ts';
import type { News, StartOptions, WithDevice, WorkerApi } from './api.ts';
import { fromWire } from './errorWire.ts';
import { offerWasm, wasmFor } from './pageWasm.ts';
import { type Held, type RecycleLimits, Recycler } from './recycler.ts';
import { Revival } from './revival.ts';
import { sendable } from './sendable.ts';
import { createWorkerHandle, startWorker, type WorkerHandle } from './workerHandle.ts';

export interface SpawnOptions extends Omit<StartOptions, 'wasm'> {
  /** Makes the worker from src/worker/entry, for bundlers that cannot follow `new Worker(new URL(…))`. */
  worker?: () => Worker;
  /** When a worker is replaced between two runs; by default never. */
  recycle?: RecycleLimits;
}

/** After these the worker cannot be trusted: onnxruntime is stuck with a lost device, or a defect showed. */
const FATAL: ErrorCode[] = ['WORKER_FAILED', 'INTERNAL'];
/** onnxruntime never tries again once its .wasm file failed to load; a new worker does, when it is asked for. */
const FATAL_AT_LOAD: ErrorCode[] = [...FATAL, 'INFERENCE_FAILED'];
/** With these a worker is ended without another one being made at once: for its .wasm, or to be replaced. */
const BY_US: ErrorCode[] = ['INFERENCE_FAILED', 'CLOSED'];
/** Loading nothing, only the model's name. */
const NOTHING = -1;
/** How calls fail whose worker or device is gone. */
const AWAY: ErrorCode[] = ['WORKER_FAILED', 'DEVICE_LOST'];
const uploads = () => import('../head/uploadFrame.ts');

const CLOSED = () => new IsthmusError('CLOSED', 'The session is closed. Connect again.');

/**
 * @throws IsthmusError WORKER_FAILED, or WEBGPU_UNAVAILABLE when WebGPU is forced and absent
 * @example
 * const runtime = await spawnRuntime({ device: 'auto' });
 */
export async function spawnRuntime({
  worker,
  recycle = {},
  ...options
}: SpawnOptions = {}): Promise<HeadRuntime> {
  const make =
    worker ?? (() => new Worker(new URL('./entry.ts', import.meta.url), { type: 'module', name: 'isthmus' }));
  // A worker that is being filled is not replaced meanwhile.
  const revival = new Revival(() => recycler.during(filled));
  const { trouble } = revival;
  let handle: WorkerHandle | undefined;
  let starting: Promise<WorkerHandle> | undefined;
  let device: DeviceReport;
  /** onnxruntime as a worker compiled it, for the next one; held here, so that other sessions find it too. */
  let wasm: WebAssembly.Module | undefined;
  /** The model, the last segment that the present worker has (-2 when it knows nothing), and the last that a call needed. */
  let model: LoadOptions | undefined;
  let there = -2;
  let needed = NOTHING;
  /** Whether a worker's script has run, and whether one was ever ready. */
  let greeted = false;
  let started = false;
  let closed = false;
  /** Bytes that the worker held when it answered last. */
  let memory = 0;

  async function start(): Promise<WorkerHandle> {
    const fresh = createWorkerHandle(make, (why) => {
      if (fresh === handle && started && !closed && !BY_US.includes(why.code)) revival.died(why);
    });
    handle = fresh;
    there = -2;
    recycler.reset();
    const tame = revival.withoutGpu && (options.device ?? 'auto') === 'auto';
    wasm ??= wasmFor(options.wasmPaths);
    const given = { ...options, ...(tame && { device: 'wasm' as const }), ...(wasm && { wasm }) };
    try {
      const tell = (news: News) => fresh === handle && hear(news);
      const onHello = () => {
        greeted = true;
      };
      device = (await startWorker(fresh, given, tell, onHello)).device;
      return fresh;
    } catch (thrown) {
      fresh.end(closed ? CLOSED() : IsthmusError.from(thrown, 'WORKER_FAILED', 'The worker could not start'));
      throw thrown;
    }
  }

  function hear(news: News): void {
    if (news.about === 'wasm') {
      wasm = news.module;
      offerWasm(options.wasmPaths, wasm);
      return;
    }
    device = news.device;
    revival.deviceLost(news.why === undefined ? undefined : (fromWire(news.why) as IsthmusError));
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

  async function filled(): Promise<void> {
    await living();
    if (model) await bring(model, needed);
  }

  async function ask<T>(
    work: (api: Comlink.Remote<WorkerApi>) => Promise<WithDevice<T>>,
    fatal = FATAL,
  ): Promise<T> {
    const current = await living();
    try {
      const answer = await current.call(work);
      ({ device, memory } = answer);
      return answer.value;
    } catch (thrown) {
      if (thrown instanceof IsthmusError && fatal.includes(thrown.code)) current.end(thrown);
      throw thrown;
    }
  }

  async function bring(
    options: LoadOptions,
    last: number,
    onProgress?: (p: Progress) => void,
  ): Promise<void> {
    if (model?.manifest.id !== options.manifest.id) there = -2;
    model = options;
    await ask((api) => api.load(options, last, onProgress && Comlink.proxy(onProgress)), FATAL_AT_LOAD);
    there = Math.max(there, last);
  }

  async function load(options: LoadOptions, last: number, onProgress?: (p: Progress) => void): Promise<void> {
    const bringing = () => recycler.during(() => bring(options, last, onProgress));
    if (last > NOTHING) {
      needed = last;
      return bringing();
    }
    await recovery.unlessTroubled(bringing).catch((thrown) => {
      if (!trouble.trouble) throw thrown;
      model = options; // uploads can be written here, and the next worker will be told
    });
  }

  /** A new worker gets what the call needs and no more: a larger plan may be what the old one died of. */
  async function need<T>(
    last: (m: LoadOptions['manifest']) => number,
    work: (api: Comlink.Remote<WorkerApi>) => Promise<WithDevice<T>>,
    wait = true,
  ): Promise<T> {
    const { times } = trouble;
    const before = trouble.trouble;
    const stillWanted = () => {
      if (!wait && trouble.times !== times) throw trouble.trouble ?? CLOSED();
    };
    const done = async () => {
      await living();
      stillWanted();
      const wanted = model ? last(model.manifest) : NOTHING;
      if (wanted > NOTHING) needed = wanted;
      if (model && there < wanted) await bring(model, wanted);
      stillWanted();
      const value = await ask(work);
      if (wanted > NOTHING) {
        revival.computed(before);
        held = { bytes: memory, having: `${model?.manifest.id} ${there}` };
      }
      return value;
    };
    let held: Held | undefined;
    const once = () => recycler.during(done, () => held);
    return wait ? once() : recovery.unlessTroubled(once);
  }

  const recycler = new Recycler(recycle, async () => {
    if (closed || !handle || handle.dead) return;
    handle.end(CLOSED());
    await filled();
  });

  const recovery: Recovery = {
    get trouble() {
      return trouble.trouble;
    },
    unlessTroubled(work) {
      revival.beginWhenDue();
      return trouble.unlessTroubled(work);
    },
  };

  /** Written by the page where the worker cannot. */
  async function remote(...args: Parameters<HeadRuntime['remote']>): Promise<HeadResult> {
    const [input, format, quality] = args;
    try {
      return await need(
        () => NOTHING,
        async (api) => api.remote(await sendable(input), format, quality),
        false,
      );
    } catch (thrown) {
      const away = thrown instanceof IsthmusError && AWAY.includes(thrown.code);
      if (!away || !model || closed) throw thrown;
      return (await uploads()).uploadFrame(model.manifest, ...args);
    }
  }

  await living().catch((thrown: unknown) => {
    if (greeted && thrown instanceof IsthmusError && thrown.code === 'WORKER_FAILED') return living(); // it was killed
    throw thrown;
  });
  started = true;
  uploads().catch(() => undefined); // here before it is needed

  return {
    recovery,
    get device() {
      return device;
    },
    load,
    head: (input, cut, codec, wait) =>
      need(
        () => cut,
        async (api) => api.head(await sendable(input), cut, codec, wait),
        wait,
      ),
    early: (input, plan, onAnswer, wait) =>
      need(
        () => plan.cut,
        async (api) => api.early(await sendable(input), plan, onAnswer && Comlink.proxy(onAnswer), wait),
        wait,
      ),
    local: (input, wait) =>
      need(
        (m) => m.segments.length - 1,
        async (api) => api.local(await sendable(input), wait),
        wait,
      ),
    remote,
    formats: () =>
      need(
        () => NOTHING,
        (api) => api.formats(),
        false,
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
