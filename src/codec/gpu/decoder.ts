// GpuDecoder: encoded tensors in, features in GPU memory out, for tails that run on a GPU. Nothing is dispatched before
// the CPU has checked all it can; the values equal those of the CPU decoders bit for bit. It reads no frame.
import { IsthmusError } from '../../errors.ts';
import { bytesPerElement } from '../../tensor.ts';
import { type EncodedTensor, LIMITS } from '../params.ts';
import type { CodecProfile } from '../profile.ts';
import { declaredElements } from '../reference/declaredElements.ts';
import { decodeRaw } from '../reference/raw.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { GrowingBuffer, ReadbackPool } from './buffers.ts';
import type { FrameCounters, GpuFeature } from './encoder.ts';
import type { DecodePlan, GpuDecode } from './family.ts';
import { ALIGNMENT, type ArenaPlan, checkBinding, type Placed, placeWork } from './framePlan.ts';
import { Guard } from './guard.ts';
import { decodeIsthmus } from './isthmusDecode.ts';
import { decodeRans } from './ransDecode.ts';
import { type Compiled, Recorder } from './recorder.ts';
import { decodeSlicer } from './slicerDecode.ts';
import { type Tuning, tuningFor } from './tuning.ts';

/** Families whose values the GPU unpacks, float32 or float16. A new one is one entry here. */
const DECODERS: Readonly<Record<string, GpuDecode>> = {
  slicer: decodeSlicer,
  rans: decodeRans,
  isthmus: decodeIsthmus,
};

/** What a caller knows beside the frame. */
export interface GpuDecodeOptions {
  /** Largest decoded tensor in bytes; default 64 MiB. */
  outputBytes?: number;
  /** The codec profiles that tensors of family isthmus may refer to, by name; by default none is known. */
  profiles?: (name: string) => CodecProfile | undefined;
}

type Frame = ArenaPlan<Placed<DecodePlan>>;

/**
 * Decodes tensors on `device`, which stays the caller's.
 *
 * @example
 * const decoder = await GpuDecoder.create(device);
 * const [feature] = await decoder.decode(readFrame(bytes).tensors);
 * // … run the tail on feature.buffer …
 * feature.buffer.destroy();
 */
export class GpuDecoder {
  /** Counters of the call recorded last, for tests and benchmarks. */
  lastFrame: FrameCounters = { dispatches: 0, submits: 0, maps: 0, readbackBytes: 0 };

  readonly #device: GPUDevice;
  readonly #tuning: Tuning;
  readonly #recorder: Recorder;
  readonly #arena: GrowingBuffer;
  readonly #inputs: GrowingBuffer;
  readonly #readbacks: ReadbackPool;
  readonly #guard: Guard;

  private constructor(device: GPUDevice, tuning: Tuning) {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    this.#device = device;
    this.#tuning = tuning;
    this.#recorder = new Recorder(device);
    this.#arena = new GrowingBuffer(device, 'isthmus decoder arena', STORAGE | COPY_SRC | COPY_DST);
    this.#inputs = new GrowingBuffer(device, 'isthmus decoder input', STORAGE | COPY_DST);
    this.#readbacks = new ReadbackPool(device);
    this.#guard = new Guard(device);
  }

  /** Compiles nothing yet: pipelines come with the first tensor that needs them. Throws DEVICE_LOST. */
  static async create(
    device: GPUDevice,
    tuning: Tuning = tuningFor(device.adapterInfo),
  ): Promise<GpuDecoder> {
    const decoder = new GpuDecoder(device, tuning);
    await decoder.#guard.compiled(Promise.resolve());
    return decoder;
  }

  /**
   * Decodes tensors of families raw, slicer, rans and isthmus. The features are the caller's to destroy; their buffers have STORAGE,
   * COPY_SRC and COPY_DST usage. When the promise settles the commands are accepted, not necessarily done: the queue
   * keeps the order, so later work may use the features at once.
   *
   * @throws IsthmusError FRAME_INVALID, TOO_LARGE, CODEC_INVALID (a family that is not decoded here), DEVICE_LOST, CLOSED
   */
  async decode(
    tensors: readonly EncodedTensor[],
    { outputBytes = LIMITS.outputBytes, profiles = () => undefined }: GpuDecodeOptions = {},
  ): Promise<GpuFeature[]> {
    this.#guard.check();
    const plans = tensors.map((tensor) => {
      const count = declaredElements(tensor, outputBytes);
      return planDecoding(tensor, count, this.#tuning, profiles);
    });
    const { limits } = this.#device;
    const sizes = tensors.map(({ dtype, shape }) => {
      const bytes = shape.reduce((product, dim) => product * dim, 1) * bytesPerElement(dtype);
      checkBinding('A feature', bytes, limits);
      return Math.max(16, Math.ceil(bytes / 16) * 16); // as onnxruntime makes its own
    });
    const frame = placeWork(plans, limits);
    for (const { input } of plans) checkBinding('An encoded tensor', input.length, limits);
    const compiled = await this.#guard.compiled(this.#recorder.compile(frame));
    return this.#run(tensors, sizes, frame, compiled);
  }

  /** Frees the decoder's own buffers; decoded features stay. */
  destroy(): void {
    this.#guard.close();
    this.#recorder.destroy();
    this.#arena.destroy();
    this.#inputs.destroy();
    this.#readbacks.destroy();
  }

  async #run(
    tensors: readonly EncodedTensor[],
    sizes: readonly number[],
    frame: Frame,
    compiled: Compiled,
  ): Promise<GpuFeature[]> {
    const features: GpuFeature[] = [];
    let readback: GPUBuffer | undefined;
    let succeeded = false;
    const { outputBytes } = frame;
    const bytes = sizes.reduce((sum, size) => sum + size, frame.arenaBytes);
    const map = () => readback!.mapAsync(GPUMapMode.READ, 0, outputBytes);
    const submit = () => {
      tensors.forEach(({ shape, dtype }, i) => {
        features.push({ buffer: this.#createFeature(sizes[i]!), shape, dtype });
      });
      if (outputBytes > 0) readback = this.#readbacks.take(outputBytes);
      this.#submit(frame, compiled, features, readback);
    };
    try {
      await this.#guard.run(bytes, submit, outputBytes > 0 ? map : undefined);
      const mapped = readback?.getMappedRange(0, outputBytes);
      for (const { plan, ranges } of frame.tensors)
        plan.check?.((name) => {
          const { offset, size } = ranges.get(name)!;
          return new Uint8Array(mapped!, offset, size);
        });
      succeeded = true;
      return features;
    } catch (e) {
      for (const { buffer } of features) buffer.destroy();
      if (e instanceof IsthmusError && e.code === 'TOO_LARGE') {
        this.#arena.destroy(); // what they hold may be no memory at all
        this.#inputs.destroy();
      }
      throw e;
    } finally {
      if (readback) this.#readbacks.giveBack(readback, succeeded);
    }
  }

  #createFeature(size: number): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return this.#device.createBuffer({
      label: 'isthmus decoded feature',
      size,
      usage: STORAGE | COPY_SRC | COPY_DST,
    });
  }

  #submit(
    frame: Frame,
    compiled: Compiled,
    features: readonly GpuFeature[],
    readback: GPUBuffer | undefined,
  ): void {
    const { queue } = this.#device;
    const offsets: number[] = [];
    let end = 0;
    for (const { plan } of frame.tensors) {
      offsets.push(end);
      if (plan.stages.length > 0) end += Math.ceil(plan.input.length / ALIGNMENT) * ALIGNMENT;
    }
    const inputs = this.#inputs.take(Math.max(4, end));
    frame.tensors.forEach(({ plan: { input, stages } }, i) => {
      if (stages.length > 0) queue.writeBuffer(inputs, offsets[i]!, input);
      else writeAll(queue, features[i]!.buffer, input);
    });
    this.lastFrame = { dispatches: 0, submits: 0, maps: readback ? 1 : 0, readbackBytes: frame.outputBytes };
    if (end === 0) return;
    const commands = this.#device.createCommandEncoder({ label: 'isthmus decode' });
    const arena = this.#arena.take(Math.max(4, frame.arenaBytes));
    const bindings = frame.tensors.map(({ plan }, i) => {
      return {
        buffer: inputs,
        offset: offsets[i]!,
        byteLength: plan.input.length,
        target: features[i]!.buffer,
      };
    });
    const dispatches = this.#recorder.record(commands, frame, compiled, bindings, arena);
    if (readback) commands.copyBufferToBuffer(arena, 0, readback, 0, frame.outputBytes);
    queue.submit([commands.finish()]);
    this.lastFrame = { ...this.lastFrame, dispatches, submits: 1 };
  }
}

/** What a family's decoder gets beside the tensor and its checked number of elements. */
type Rest = Parameters<GpuDecode> extends [unknown, unknown, ...infer R] ? R : never;

/** Checks everything the family can check. */
function planDecoding(encoded: EncodedTensor, count: number, ...rest: Rest): DecodePlan {
  const { family, dtype } = encoded;
  if (family === 'raw') {
    decodeRaw(encoded);
    return { regions: {}, stages: [], input: encoded.payload as Uint8Array<ArrayBuffer> };
  }
  if (!Object.hasOwn(DECODERS, family))
    throw new IsthmusError(
      'CODEC_INVALID',
      `The GPU does not decode the codec family '${family}'. Decode it on the CPU, or send the feature as raw, slicer or isthmus.`,
    );
  if (dtype !== 'float32' && dtype !== 'float16')
    throw damaged(`${family} carries float32 or float16, not ${dtype}`);
  if (count > 2 ** 24) throw damaged(`${family} carries at most 2^24 elements, not ${count}`);
  return DECODERS[family]!(encoded, count, ...rest);
}

/** The queue writes whole words only; buffers are longer than that. */
function writeAll(queue: GPUQueue, buffer: GPUBuffer, bytes: Uint8Array<ArrayBuffer>): void {
  const whole = bytes.length - (bytes.length % 4);
  if (whole > 0) queue.writeBuffer(buffer, 0, bytes, 0, whole);
  if (whole === bytes.length) return;
  const rest = new Uint8Array(4);
  rest.set(bytes.subarray(whole));
  queue.writeBuffer(buffer, whole, rest);
}
