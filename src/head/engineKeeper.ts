// EngineKeeper: owns the current engine. Brings segments into it, replaces it when the GPU device is lost and then runs
// the interrupted work again, and goes over to WebAssembly where `auto` allows it. One call at a time (the runtime queues).
import { abortError } from '../abort.ts';
import type { CodecParams } from '../codec/params.ts';
import { type ErrorCode, IsthmusError } from '../errors.ts';
import { exitPart, type Manifest } from '../model/manifest.ts';
import { type GpuHandle, requestGpu } from './device.ts';
import type { Engine } from './engine.ts';
import { createGpuEngine } from './gpuEngine.ts';
import { type DeviceWish, openEngine, withoutGpu } from './openEngine.ts';
import { Profiles } from './profiles.ts';
import type { DeviceReport, LoadOptions, Progress } from './runtime.ts';
import { ModelStore } from './store/modelStore.ts';
import { createSafeStore } from './store/safeStore.ts';

/** How long work on a lost device may take to notice; after that onnxruntime is stuck and the worker must go. */
const NOTICE_MS = 2000;
/** An error on the GPU may arrive before the loss that caused it is announced. */
const LOSS_LAG_MS = 100;

/** What onnxruntime throws, and the codec where its shaders do not compile or its commands are refused. */
const GPU_FAILURES: ErrorCode[] = ['INFERENCE_FAILED', 'INTERNAL'];
const LOSS_LIKE: ErrorCode[] = ['DEVICE_LOST', 'INFERENCE_FAILED', 'INTERNAL', 'TOO_LARGE'];

type OnProgress = (p: Progress) => void;

/** Content of segments by their index. */
type Files = ReadonlyMap<number, Uint8Array>;

interface RunOptions {
  onProgress?: OnProgress | undefined;
  /** Segments that are here already: they are not asked for again. */
  files?: Files | undefined;
  /** false: a lost device is DEVICE_LOST at once; the work is not done again, and `onLoss` sees to another device. */
  wait?: boolean | undefined;
}

export class EngineKeeper {
  readonly #wish: DeviceWish;
  readonly #store: ModelStore;
  readonly #choices = createSafeStore('isthmus-choices');
  readonly #aborting = new AbortController();
  readonly #profiles = new Profiles((file) => this.#store.get(file, undefined, this.#aborting.signal));
  /** The device asked for at the start, until an engine owns it. */
  #gpu: GpuHandle | IsthmusError | undefined;
  #load: LoadOptions | undefined;
  #engine: Engine | undefined;
  /** Files of exits, small enough to be kept for the next engine. */
  readonly #exits = new Map<string, Uint8Array>();
  /** Told as soon as a device is lost, at work or idle, with the last segment that it had. */
  onLoss: ((why: IsthmusError, last: number) => void) | undefined;

  constructor(wish: DeviceWish, gpu: GpuHandle | IsthmusError, store = new ModelStore()) {
    this.#wish = wish;
    this.#gpu = gpu;
    this.#store = store;
  }

  get report(): DeviceReport | undefined {
    return this.#engine?.report;
  }

  /** Says which model it is about; another model than before closes the engine. */
  async use(load: LoadOptions): Promise<void> {
    if (this.#load && !sameParts(this.#load.manifest, load.manifest)) {
      await this.#closeEngine();
    }
    this.#load = load;
  }

  /** `codec` with the calibrated profile of the cut, where there is one. */
  complete(codec: CodecParams, cut: number): Promise<CodecParams> {
    return this.#profiles.complete(codec, this.#load!, cut);
  }

  /** Those of `exits` whose files are here or can be fetched. It never throws: everything works without them. */
  async exitsHere(exits: readonly number[]): Promise<number[]> {
    const { artifacts, token, keptOnly, manifest } = this.#load!;
    const here: number[] = [];
    for (const exit of exits) {
      const { sha256, bytes } = manifest.exits![exit]!;
      const file = { artifacts, sha256, bytes, token, keptOnly };
      const content =
        this.#exits.get(sha256) ??
        (await this.#store.get(file, undefined, this.#aborting.signal).catch(() => undefined));
      if (!content) continue;
      this.#exits.set(sha256, content);
      here.push(exit);
    }
    return here;
  }

  /** Compiles exits that are here into the engine of a run. @throws IsthmusError INFERENCE_FAILED */
  async addExits(engine: Engine, exits: readonly number[]): Promise<void> {
    const manifest = this.#manifest();
    for (const exit of exits) {
      const part = exitPart(manifest, exit);
      if (!engine.has(part)) await engine.add(part, this.#exits.get(manifest.exits![exit]!.sha256)!);
    }
  }

  /**
   * Does `work` on an engine that has segments 0…last; once more on a fresh device when the device is lost under it.
   * Under `auto` a GPU that fails gives way to WebAssembly for good.
   *
   * @throws IsthmusError DEVICE_LOST when the fresh device is lost too and WebGPU is forced, or nobody waits for one;
   *   WORKER_FAILED when onnxruntime hangs in a lost device; what downloads and engines throw
   */
  async run<T>(
    last: number,
    work: (engine: Engine) => Promise<T>,
    { onProgress, files: have, wait = true }: RunOptions = {},
  ): Promise<T> {
    for (let losses = 0; ; ) {
      // Downloads come first and apart: they may take long, and no device can be lost under them.
      const files = await this.fetch(this.#load!, last, onProgress, have);
      this.#engine ??= await this.#open(files.get(0)!);
      const engine = this.#engine;
      let reason = 'it was lost while idle';
      if (!engine.lost) {
        try {
          const filled = async () => {
            await this.#fill(engine, files, onProgress);
            return work(engine);
          };
          const outcome = await attempt(engine, filled, (why) => this.#lost(engine, why));
          if ('value' in outcome) return outcome.value;
          reason = outcome.lost;
        } catch (thrown) {
          const gpuFailed = thrown instanceof IsthmusError && GPU_FAILURES.includes(thrown.code);
          if (!gpuFailed || this.#wish !== 'auto' || engine.report.kind !== 'webgpu') throw thrown;
          engine.onLost = undefined;
          this.#engine = await withoutGpu(engine, this.#manifest(), thrown);
          continue;
        }
      }
      if (!wait) throw lostError(reason);
      await this.#replace(engine, ++losses, reason);
    }
  }

  #lost(engine: Engine, reason: string): void {
    if (engine !== this.#engine) return;
    const { segments } = this.#manifest();
    this.onLoss?.(
      lostError(reason),
      segments.findLastIndex((_, i) => engine.has(i)),
    );
  }

  /** Stops downloads. */
  abort(): void {
    this.#aborting.abort(new IsthmusError('CLOSED', 'The session is closed. Connect again.'));
  }

  async #closeEngine(): Promise<void> {
    const engine = this.#engine;
    this.#engine = undefined;
    await engine?.close();
  }

  async close(): Promise<void> {
    await this.#closeEngine();
    if (this.#gpu && !(this.#gpu instanceof IsthmusError)) this.#gpu.device.destroy();
  }

  async #open(firstSegment: Uint8Array): Promise<Engine> {
    const gpu = this.#gpu ?? (await this.#freshGpu());
    this.#gpu = gpu instanceof IsthmusError ? gpu : undefined; // the engine owns a device; a reason can be told again
    try {
      return await openEngine(this.#wish, gpu, this.#manifest(), firstSegment, this.#choices);
    } catch (thrown) {
      if (!(gpu instanceof IsthmusError)) gpu.device.destroy(); // nobody else would
      throw thrown;
    }
  }

  async #freshGpu(): Promise<GpuHandle | IsthmusError> {
    return requestGpu().catch((thrown) => IsthmusError.from(thrown, 'WEBGPU_UNAVAILABLE', 'No WebGPU'));
  }

  async #replace(engine: Engine, losses: number, reason: string): Promise<void> {
    await Promise.race([engine.close(), delay(NOTICE_MS)]);
    this.#engine = undefined;
    const lost = lostError(reason, losses > 1 ? 'again ' : '');
    const gpu = losses > 1 ? lost : await this.#freshGpu();
    if (!(gpu instanceof IsthmusError)) {
      const { kind, adapter, software, ...extras } = engine.report;
      this.#engine = createGpuEngine(this.#manifest(), gpu, extras, this.#choices);
    } else if (this.#wish === 'auto') {
      this.#engine = await withoutGpu(engine, this.#manifest(), gpu);
    } else throw lost;
  }

  /** Bytes of the segments 0…last that the engine lacks. The only call that may be made while others run. */
  async fetch(load: LoadOptions, last: number, onProgress?: OnProgress, have?: Files): Promise<Files> {
    this.#aborting.signal.throwIfAborted();
    const { artifacts, token, keptOnly, manifest } = load;
    const { segments } = manifest;
    const missing = segments.map((_, i) => i).filter((i) => i <= last && !this.#engine?.has(i));
    const total = sum(missing.map((i) => segments[i]!.bytes));
    const files = new Map<number, Uint8Array>();
    let before = 0;
    for (const i of missing) {
      const { sha256, bytes } = segments[i]!;
      const report = (n: number) => onProgress?.({ stage: 'download', loaded: before + n, total });
      const request = { artifacts, sha256, bytes, token, keptOnly };
      files.set(i, have?.get(i) ?? (await this.#store.get(request, report, this.#aborting.signal)));
      before += bytes;
    }
    return files;
  }

  /** Compiles what was downloaded. */
  async #fill(engine: Engine, files: Files, onProgress?: OnProgress): Promise<void> {
    if (files.size === 0) return;
    const total = sum([...files.values()].map((bytes) => bytes.byteLength));
    let loaded = 0;
    for (const [i, bytes] of files) {
      onProgress?.({ stage: 'compile', loaded, total });
      if (!engine.has(i)) await engine.add(i, bytes); // measuring may have compiled segment 0 already
      loaded += bytes.byteLength;
    }
    await engine.warmUp(Math.max(...files.keys()));
    onProgress?.({ stage: 'compile', loaded, total });
  }

  #manifest(): Manifest {
    if (this.#aborting.signal.aborted) throw abortError(this.#aborting.signal);
    return this.#load!.manifest;
  }
}

/** The value of `work`, or why the device was lost under it. Other errors pass through. */
async function attempt<T>(
  engine: Engine,
  work: () => Promise<T>,
  onLoss: (reason: string) => void,
): Promise<{ value: T } | { lost: string }> {
  let announce: (reason: string) => void = () => {};
  const loss = new Promise<string>((resolve) => {
    announce = resolve;
  });
  // It stays for losses between this work and the next.
  engine.onLost = (reason) => {
    announce(reason);
    onLoss(reason);
  };
  const running = work().then(
    (value) => ({ value }),
    (thrown: unknown) => ({ thrown }),
  );
  const first = await Promise.race([running, loss.then((lost) => ({ lost }))]);
  if ('value' in first && !engine.lost) return first;
  if ('thrown' in first && !engine.lost) {
    const mayBeLoss = !(first.thrown instanceof IsthmusError) || LOSS_LIKE.includes(first.thrown.code);
    const lost =
      mayBeLoss && engine.report.kind === 'webgpu' && (await Promise.race([loss, delay(LOSS_LAG_MS)]));
    if (!lost) throw first.thrown;
  }
  const settled = await Promise.race([running, delay(NOTICE_MS)]);
  if (!settled) {
    throw new IsthmusError(
      'WORKER_FAILED',
      'The worker failed: the GPU was lost and onnxruntime did not notice. Run again; a new one is started.',
    );
  }
  return { lost: await loss };
}

const lostError = (reason: string, again = '') =>
  new IsthmusError(
    'DEVICE_LOST',
    `The GPU was lost ${again}(${reason}). Run again, or choose \`device: 'wasm'\`.`,
  );

/** Exits are no part of the id, but engines hold them by their place in the manifest, and their thresholds. */
const sameParts = (a: Manifest, b: Manifest) =>
  a.id === b.id && JSON.stringify(a.exits) === JSON.stringify(b.exits);

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
const delay = (ms: number) => new Promise<undefined>((resolve) => setTimeout(resolve, ms));
