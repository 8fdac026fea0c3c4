// HeadRuntime in the browser: loads segments, queues calls, and keeps going when the GPU device is lost. It runs inside
// the worker (src/worker/entry.ts); the work itself is the engines'.
import { type EncodedTensor, resolveCodec } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { cutIndex, exitsUpTo, type Manifest, modelTag } from '../model/manifest.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { describeCpu, requestGpu } from './device.ts';
import type { Engine, EngineInput } from './engine.ts';
import { EngineKeeper } from './engineKeeper.ts';
import { gzipFp16Bytes } from './gzipFp16.ts';
import type { DeviceWish } from './openEngine.ts';
import { configureOrt, type OrtOptions, wasmThreads } from './ortEnvironment.ts';
import type { DeviceReport, HeadResult, HeadRuntime, RuntimeInput, StageTimes } from './runtime.ts';
import type { ModelStore } from './store/modelStore.ts';
import { writableFormats } from './upload.ts';
import { openInput, uploadFrame } from './uploadFrame.ts';

/** Devices that may be lost one after the other before no more are made unasked. */
const LOSSES = 3;

export interface BrowserRuntimeOptions extends OrtOptions {
  /** `auto` measures WebGPU and wasm on segment 0 once per adapter, model and browser version, and takes the faster. */
  device?: DeviceWish;
  /** Replaces where segments come from. */
  store?: ModelStore;
  /** Told why calls would have to wait when a device is lost, and undefined once another one is ready. */
  onTrouble?: (why: IsthmusError | undefined) => void;
}

/**
 * @throws IsthmusError WEBGPU_UNAVAILABLE when `device` is 'webgpu' and there is none
 * @example
 * const runtime = await createBrowserRuntime({ device: 'auto' });
 * await runtime.load({ manifest, artifacts }, 0);
 * const { frame } = await runtime.head({ kind: 'bitmap', bitmap }, 0, PRESETS.slicer);
 */
export async function createBrowserRuntime(options: BrowserRuntimeOptions = {}): Promise<HeadRuntime> {
  const wish = options.device ?? 'auto';
  configureOrt(options);
  const gpu =
    wish === 'wasm'
      ? new IsthmusError('WEBGPU_UNAVAILABLE', 'WebAssembly was chosen.')
      : await requestGpu().catch((thrown) => IsthmusError.from(thrown, 'WEBGPU_UNAVAILABLE', 'No WebGPU'));
  if (wish === 'webgpu' && gpu instanceof IsthmusError) throw gpu;
  const before: DeviceReport =
    gpu instanceof IsthmusError
      ? {
          kind: 'wasm',
          adapter: describeCpu(wasmThreads()),
          software: false,
          ...(wish === 'auto' && { note: gpu.message }),
        }
      : { kind: 'webgpu', ...gpu.report };
  return new BrowserRuntime(new EngineKeeper(wish, gpu, options.store), before, options.onTrouble);
}

class BrowserRuntime implements HeadRuntime {
  readonly #engines: EngineKeeper;
  /** What is known of the device before the first load. */
  readonly #before: DeviceReport;
  #manifest: Manifest | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;
  #losses = 0;
  /** Losses since something was computed. */
  #inARow = 0;

  constructor(
    engines: EngineKeeper,
    before: DeviceReport,
    onTrouble: BrowserRuntimeOptions['onTrouble'] = () => {},
  ) {
    this.#engines = engines;
    this.#before = before;
    engines.onLoss = (why, last) => this.#restore(why, last, onTrouble);
  }

  /** Makes the device and segments 0…last anew, behind what has begun and before what is asked from now on. */
  async #restore(
    why: IsthmusError,
    last: number,
    onTrouble: NonNullable<BrowserRuntimeOptions['onTrouble']>,
  ): Promise<void> {
    if (this.#closed) return;
    const mine = ++this.#losses;
    onTrouble(why);
    if (++this.#inARow > LOSSES) return; // the page asks again after a while
    const failed = await this.#next(() => this.#engines.run(last, async () => {})).then(
      () => undefined,
      (thrown) => IsthmusError.from(thrown, 'DEVICE_LOST', 'The GPU does not come back'),
    );
    if (mine === this.#losses && !this.#closed) onTrouble(failed);
  }

  get device(): DeviceReport {
    return this.#engines.report ?? this.#before;
  }

  load: HeadRuntime['load'] = async (options, last, onProgress) => {
    // More of the model that is in use: runs go on while it downloads.
    const more = this.#manifest?.id === options.manifest.id && last >= 0 && !this.#closed;
    const files = more ? await this.#engines.fetch(options, last, onProgress) : undefined;
    return this.#next(async () => {
      await this.#engines.use(options);
      this.#manifest = options.manifest;
      if (last >= 0) await this.#engines.run(last, async () => {}, { onProgress, files });
      if (!options.exits || last < 0) return;
      const exits = await this.#engines.exitsHere(exitsUpTo(options.manifest, last));
      // Compiled now, while the page shows progress. One that does not compile says so when it is asked.
      await this.#engines.run(last, (e) => this.#engines.addExits(e, exits).catch(() => undefined));
    });
  };

  head: HeadRuntime['head'] = (input, cut, codec, wait) =>
    this.#next(async () => {
      const manifest = this.#model();
      const index = cutIndex(manifest, cut);
      const params = await this.#engines.complete(resolveCodec(codec), index);
      return this.#open(input, async (engineInput, opening) => {
        const work = (e: Engine) => e.head(engineInput, index, params);
        const { tensors, timings } = await this.#compute(index, work, wait);
        return {
          frame: this.#frame(index, tensors),
          timings: addOpening(timings, opening),
          rawBytes: manifest.cuts[index]!.rawBytes,
        };
      });
    });

  early: NonNullable<HeadRuntime['early']> = (input, { exits, cut, codec }, onAnswer, wait) =>
    this.#next(async () => {
      const manifest = this.#model();
      const index = cutIndex(manifest, cut);
      const here = await this.#engines.exitsHere(exits);
      const params = await this.#engines.complete(resolveCodec(codec), index);
      return this.#open(input, async (engineInput, opening) => {
        const plan = { exits: here, cut: index, codec: params };
        const work = async (e: Engine) => {
          await this.#engines.addExits(e, here);
          return e.early(engineInput, plan, onAnswer);
        };
        const { answers, tensors, timings } = await this.#compute(index, work, wait);
        const { rawBytes } = manifest.cuts[index]!;
        return {
          answers,
          ...(tensors && { head: { frame: this.#frame(index, tensors), rawBytes } }),
          timings: addOpening(timings, opening),
        };
      });
    });

  local: HeadRuntime['local'] = (input, wait) =>
    this.#next(async () => {
      const last = this.#model().segments.length - 1;
      return this.#open(input, async (engineInput, opening) => {
        const { outputs, timings } = await this.#compute(last, (e) => e.local(engineInput), wait);
        return { outputs, timings: addOpening(timings, opening) };
      });
    });

  remote: HeadRuntime['remote'] = (input, format, quality) =>
    this.#next(() => uploadFrame(this.#model(), input, format, quality));

  formats: NonNullable<HeadRuntime['formats']> = writableFormats;

  gzipFp16Bytes: HeadRuntime['gzipFp16Bytes'] = (input, cut) =>
    this.#next(async () => {
      const index = cutIndex(this.#model(), cut);
      return this.#open(input, async (engineInput) =>
        gzipFp16Bytes(Object.values(await this.#engines.run(index, (e) => e.feature(engineInput, index)))),
      );
    });

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#engines.abort();
    await this.#queue;
    await this.#engines.close();
  }

  /** onnxruntime takes one run at a time, and a load must not change engines under a run. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(() => {
      if (this.#closed) throw new IsthmusError('CLOSED', 'The session is closed. Connect again.');
      return work();
    });
    this.#queue = next.catch(() => undefined);
    return next;
  }

  async #compute<T>(last: number, work: (engine: Engine) => Promise<T>, wait?: boolean): Promise<T> {
    const value = await this.#engines.run(last, work, { wait });
    this.#inARow = 0;
    return value;
  }

  #model(): Manifest {
    if (this.#manifest) return this.#manifest;
    throw new IsthmusError('INTERNAL', 'No model was loaded before the first run; please report it.');
  }

  #open<T>(input: RuntimeInput, use: (input: EngineInput, openingMs: number) => Promise<T>): Promise<T> {
    return openInput(this.#model(), input, use);
  }

  #frame(cut: number, tensors: EncodedTensor[]): HeadResult['frame'] {
    return writeFrame({ kind: 'request', modelTag: modelTag(this.#model()), cut, meta: {}, tensors });
  }
}

/** Decoding a file is part of preprocessing. */
function addOpening(timings: StageTimes, opening: number): StageTimes {
  return timings.preprocess === undefined
    ? timings
    : { ...timings, preprocess: timings.preprocess + opening };
}
