// Engine on WebGPU: preprocessing, segments and codec on one device; a feature leaves the GPU only as encoded bytes.
// Stage times are observed, never waited for: see `observe`.
import * as ort from 'onnxruntime-web/webgpu';
import { encodeTensor } from '../codec/cpu/encode.ts';
import { autotune, recallTuning, type TuningStore } from '../codec/gpu/autotune.ts';
import { GpuEncoder, type GpuFeature } from '../codec/gpu/encoder.ts';
import type { CodecParams, EncodedTensor } from '../codec/params.ts';
import type { Manifest, Preprocess } from '../model/manifest.ts';
import { chainWithExits } from './chainWithExits.ts';
import { preprocessOf } from './checkInput.ts';
import type { GpuHandle } from './device.ts';
import type { Engine, EngineInput } from './engine.ts';
import { medianOfRuns, zeroInputs } from './measure.ts';
import { inferenceError } from './ortEnvironment.ts';
import { GpuPreprocessor } from './preprocessGpu.ts';
import { Quiet } from './quiet.ts';
import type { DeviceReport, StageTimes } from './runtime.ts';
import { type ChainResult, fromOrt, SegmentChain, toOrt } from './segments.ts';

/**
 * The moment at which the GPU has finished everything submitted so far. Nobody waits for it on the way: the queue's own
 * callback takes the time, and by the time the encoded bytes are mapped it has fired. Work of a stage that overlaps the
 * next one counts for the earlier stage, and the sum of the stages is the wall time.
 */
function observe(queue: GPUQueue): () => number {
  let at: number | undefined;
  queue.onSubmittedWorkDone().then(
    () => {
      at = performance.now();
    },
    () => undefined, // a lost device is reported elsewhere
  );
  return () => at ?? performance.now();
}

/** How long the first pipelines wait for a remembered tuning; one that comes later is set in the first quiet moment. */
const RECALL_MS = 250;

/**
 * @param extras `measured` of the report
 * @param store where tunings of the encoder are kept between visits; by default only as long as the worker lives
 * @param tuneMs how long looking for a faster way to encode may take, in quiet moments; by default what `autotune` says
 */
export function createGpuEngine(
  manifest: Manifest,
  gpu: GpuHandle,
  extras: Partial<DeviceReport> = {},
  store?: TuningStore,
  tuneMs?: number,
): Engine {
  const { device } = gpu;
  const chain = new SegmentChain(manifest, device);
  const outputNames = manifest.outputs.map((o) => o.name);
  const report: DeviceReport = { kind: 'webgpu', ...gpu.report, ...extras };
  let preprocessor: Promise<GpuPreprocessor> | undefined;
  const recalled = Promise.race([
    recallTuning(device, store),
    new Promise<undefined>((resolve) => setTimeout(resolve, RECALL_MS)),
  ]);
  const encoder = recalled.then((known) => GpuEncoder.create(device, known)); // compiles while the model downloads
  encoder.catch(() => undefined); // told at the first encode
  const quiet = new Quiet();
  const closing = new AbortController();
  // On a software adapter the tuning is known, and measuring would take the page's own CPU.
  if (!gpu.report.software) void tuneWhenQuiet().catch(() => undefined); // the default works too

  /** Looks for a faster way to encode when the first answer is out and nobody waits for another. */
  async function tuneWhenQuiet(): Promise<void> {
    const { signal } = closing;
    const idle = () => quiet.wait(signal);
    await idle();
    const { tuning } = await autotune(device, {
      ...{ idle, signal },
      ...(store && { store }),
      ...(tuneMs !== undefined && { budget: tuneMs }),
    });
    if (!signal.aborted) await (await encoder).retune(tuning);
  }

  /** A command that the GPU refused leaves old bytes in a buffer and looks like success; so it is remembered. */
  let refused: string | undefined;
  device.addEventListener('uncapturederror', ({ error }) => {
    refused ??= error.message;
  });

  const ready = (spec: Preprocess) => {
    preprocessor ??= GpuPreprocessor.create(device, spec);
    return preprocessor;
  };

  async function feeds(input: EngineInput): Promise<Map<string, ort.Tensor>> {
    if ('tensors' in input) return new Map(Object.entries(input.tensors).map(([n, t]) => [n, toOrt(t)]));
    const spec = preprocessOf(manifest);
    const { buffer, shape } = await ready(spec).then((p) => {
      p.run(input.picture);
      return p;
    });
    return new Map([
      [spec.input, ort.Tensor.fromGpuBuffer(buffer as never, { dataType: 'float32', dims: shape })],
    ]);
  }

  /** Runs segments 0…last and hands the result to `finish`, which must have submitted all its reads when it resolves. */
  const run = <T>(
    input: EngineInput,
    last: number,
    names: string[],
    finish: (result: ChainResult) => Promise<T>,
  ) => compute(input, (inputs) => chain.run(inputs, last, names), finish);

  async function compute<R extends { dispose(): void }, T>(
    input: EngineInput,
    work: (inputs: ReadonlyMap<string, ort.Tensor>) => Promise<R>,
    finish: (result: R) => Promise<T>,
  ): Promise<{ value: T; timings: StageTimes & { encode: number } }> {
    refused = undefined;
    const started = performance.now();
    const inputs = await feeds(input);
    const preprocessed = observe(device.queue);
    const result = await work(inputs);
    const ran = performance.now();
    const computed = observe(device.queue);
    try {
      const value = await finish(result);
      const end = performance.now();
      if (refused !== undefined) {
        throw inferenceError(new Error(refused), 'A command on the GPU');
      }
      const atPicture = Math.min(preprocessed(), ran);
      const atHead = Math.max(atPicture, computed());
      const preprocess = 'picture' in input ? { preprocess: atPicture - started } : {};
      const from = 'picture' in input ? atPicture : started;
      return { value, timings: { ...preprocess, head: atHead - from, encode: end - atHead } };
    } finally {
      result.dispose();
    }
  }

  const cutNames = (cut: number) => manifest.cuts[cut]!.tensors.map((t) => t.name);

  /** Features on the GPU go through the GPU encoder in one frame; the few that are not (integers) on the CPU. */
  async function encode(
    { tensors }: ChainResult,
    names: string[],
    codec: CodecParams,
  ): Promise<EncodedTensor[]> {
    const onGpu = names.filter((name) => tensors.get(name)!.location === 'gpu-buffer');
    const onCpu = names.filter((name) => !onGpu.includes(name));
    const features = onGpu.map((name): GpuFeature => {
      const { gpuBuffer, dims } = tensors.get(name)!;
      return { buffer: gpuBuffer as unknown as GPUBuffer, shape: dims, dtype: 'float32' };
    });
    const encoded = new Map<string, EncodedTensor>();
    const frame = await (await encoder).encode(features, codec);
    for (const [i, tensor] of frame.entries()) encoded.set(onGpu[i]!, tensor);
    const read = await fromOrt(tensors, onCpu);
    for (const name of onCpu) encoded.set(name, encodeTensor(read[name]!, codec));
    return names.map((name) => encoded.get(name)!);
  }

  const engine: Engine = {
    report,
    get lost() {
      return gpu.lost;
    },
    onLost: undefined,
    has: (segment) => chain.has(segment),
    add: (segment, bytes) => chain.add(segment, bytes),
    async warmUp(last) {
      const names = manifest.segments[last]!.outputs.map((o) => o.name);
      const waiting = [encoder, manifest.preprocess && ready(manifest.preprocess)];
      await run({ tensors: zeroInputs(manifest) }, last, names, () => device.queue.onSubmittedWorkDone());
      await Promise.all(waiting);
    },
    async head(input, cut, codec) {
      const names = cutNames(cut);
      const { value, timings } = await quiet.during(() =>
        run(input, cut, names, (result) => encode(result, names, codec)),
      );
      return { tensors: value, timings };
    },
    async early(input, plan, onAnswer) {
      const names = cutNames(plan.cut);
      const { value, timings } = await quiet.during(() =>
        compute(
          input,
          (inputs) => chainWithExits(chain, manifest, inputs, plan, onAnswer),
          async ({ answers, result }) => ({
            answers,
            ...(result && { tensors: await encode(result, names, plan.codec) }),
          }),
        ),
      );
      const { encode: _, ...withoutEncode } = timings;
      return { ...value, timings: value.tensors ? timings : withoutEncode };
    },
    async local(input) {
      const last = manifest.segments.length - 1;
      const { value, timings } = await run(input, last, outputNames, (r) => fromOrt(r.tensors, outputNames));
      const { encode, head = 0, ...rest } = timings; // reading the outputs back belongs to the run
      return { outputs: value, timings: { ...rest, head: head + encode } };
    },
    async feature(input, cut) {
      const names = cutNames(cut);
      return (await run(input, cut, names, (result) => fromOrt(result.tensors, names))).value;
    },
    async measure() {
      const names = manifest.segments[0]!.outputs.map((o) => o.name);
      const tensors = zeroInputs(manifest);
      return medianOfRuns(async () => {
        await run({ tensors }, 0, names, () => device.queue.onSubmittedWorkDone());
      });
    },
    async close() {
      closing.abort();
      await chain.release();
      await preprocessor?.then(
        (p) => p.destroy(),
        () => undefined,
      );
      await encoder.then(
        (e) => e.destroy(),
        () => undefined,
      );
      device.destroy();
    },
  };
  void gpu.whenLost.then((reason) => engine.onLost?.(reason));
  return engine;
}
