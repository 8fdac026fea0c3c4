// HeadRuntime in the browser: loads segments, queues calls, and keeps going when the GPU device is lost. It runs inside
// the worker (src/worker/entry.ts); the work itself is the engines'.
import { encodeTensor } from '../codec/cpu/encode.ts';
import { type CodecParams, type EncodedTensor, resolveCodec } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { cutIndex, exitsUpTo, type Manifest, modelTag } from '../model/manifest.ts';
import { elementCount, tensorBytes } from '../tensor.ts';
import { INPUT_CUT } from '../wire/layout.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { checkTensors, preprocessOf } from './checkInput.ts';
import { describeCpu, requestGpu } from './device.ts';
import type { EngineInput } from './engine.ts';
import { EngineKeeper } from './engineKeeper.ts';
import { gzipFp16Bytes } from './gzipFp16.ts';
import type { DeviceWish } from './openEngine.ts';
import { configureOrt, type OrtOptions, wasmThreads } from './ortEnvironment.ts';
import { openPicture } from './picture.ts';
import type { DeviceReport, HeadResult, HeadRuntime, RuntimeInput, StageTimes } from './runtime.ts';
import type { ModelStore } from './store/modelStore.ts';
import { cropPicture, encodePicture } from './upload.ts';

export interface BrowserRuntimeOptions extends OrtOptions {
  /** `auto` measures WebGPU and wasm on segment 0 once per adapter, model and browser version, and takes the faster. */
  device?: DeviceWish;
  /** Replaces where segments come from. */
  store?: ModelStore;
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
  return new BrowserRuntime(new EngineKeeper(wish, gpu, options.store), before);
}

class BrowserRuntime implements HeadRuntime {
  readonly #engines: EngineKeeper;
  /** What is known of the device before the first load. */
  readonly #before: DeviceReport;
  #manifest: Manifest | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(engines: EngineKeeper, before: DeviceReport) {
    this.#engines = engines;
    this.#before = before;
  }

  get device(): DeviceReport {
    return this.#engines.report ?? this.#before;
  }

  load: HeadRuntime['load'] = (options, last, onProgress) =>
    this.#next(async () => {
      await this.#engines.use(options);
      this.#manifest = options.manifest;
      if (last >= 0) await this.#engines.run(last, async () => {}, onProgress);
      if (!options.exits || last < 0) return;
      const exits = await this.#engines.exitsHere(exitsUpTo(options.manifest, last));
      // Compiled now, while the page shows progress. One that does not compile says so when it is asked.
      await this.#engines.run(last, (e) => this.#engines.addExits(e, exits).catch(() => undefined));
    });

  head: HeadRuntime['head'] = (input, cut, codec) =>
    this.#next(async () => {
      const manifest = this.#model();
      const index = cutIndex(manifest, cut);
      const params = await this.#engines.complete(resolveCodec(codec), index);
      return this.#open(input, async (engineInput, opening) => {
        const { tensors, timings } = await this.#engines.run(index, (e) =>
          e.head(engineInput, index, params),
        );
        return {
          frame: this.#frame(index, tensors),
          timings: addOpening(timings, opening),
          rawBytes: manifest.cuts[index]!.rawBytes,
        };
      });
    });

  early: NonNullable<HeadRuntime['early']> = (input, { exits, cut, codec }, onAnswer) =>
    this.#next(async () => {
      const manifest = this.#model();
      const index = cutIndex(manifest, cut);
      const here = await this.#engines.exitsHere(exits);
      const params = await this.#engines.complete(resolveCodec(codec), index);
      return this.#open(input, async (engineInput, opening) => {
        const plan = { exits: here, cut: index, codec: params };
        const { answers, tensors, timings } = await this.#engines.run(index, async (e) => {
          await this.#engines.addExits(e, here);
          return e.early(engineInput, plan, onAnswer);
        });
        const { rawBytes } = manifest.cuts[index]!;
        return {
          answers,
          ...(tensors && { head: { frame: this.#frame(index, tensors), rawBytes } }),
          timings: addOpening(timings, opening),
        };
      });
    });

  local: HeadRuntime['local'] = (input) =>
    this.#next(async () => {
      const last = this.#model().segments.length - 1;
      return this.#open(input, async (engineInput, opening) => {
        const { outputs, timings } = await this.#engines.run(last, (e) => e.local(engineInput));
        return { outputs, timings: addOpening(timings, opening) };
      });
    });

  remote: HeadRuntime['remote'] = (input, format, quality) =>
    this.#next(async () => {
      const manifest = this.#model();
      if (!(quality >= 0 && quality <= 1)) {
        throw new IsthmusError(
          'OPTION_INVALID',
          `quality must lie in 0…1, not ${quality}. Correct the option.`,
        );
      }
      return this.#open(input, async (engineInput, opening) => {
        const started = performance.now();
        if ('tensors' in engineInput) {
          const raw: CodecParams = { family: 'raw' };
          const given = manifest.inputs.map((info) => engineInput.tensors[info.name]!);
          const encoded = given.map((tensor) => encodeTensor(tensor, raw));
          const rawBytes = given.reduce((sum, tensor) => sum + tensorBytes(tensor).byteLength, 0);
          return {
            frame: this.#frame(INPUT_CUT, encoded),
            timings: { encode: performance.now() - started },
            rawBytes,
          };
        }
        const crop = cropPicture(engineInput.picture, preprocessOf(manifest));
        const cropped = performance.now();
        const encoded = await encodePicture(crop, format, quality);
        const timings = { preprocess: cropped - started + opening, encode: performance.now() - cropped };
        const rawBytes = 4 * elementCount([3, crop.height, crop.width]);
        return { frame: this.#frame(INPUT_CUT, [encoded]), timings, rawBytes };
      });
    });

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

  #model(): Manifest {
    if (this.#manifest) return this.#manifest;
    throw new IsthmusError('INTERNAL', 'No model was loaded before the first run; please report it.');
  }

  /** Checks the input and decodes a picture, before anything is computed. */
  async #open<T>(
    input: RuntimeInput,
    use: (input: EngineInput, openingMs: number) => Promise<T>,
  ): Promise<T> {
    const manifest = this.#model();
    if (input.kind === 'tensors') {
      checkTensors(input.tensors, manifest);
      return use({ tensors: input.tensors }, 0);
    }
    preprocessOf(manifest);
    const started = performance.now();
    const { picture, release } = await openPicture(input);
    try {
      return await use({ picture }, performance.now() - started);
    } finally {
      release();
    }
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
