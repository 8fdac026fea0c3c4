// GpuEncoder: features on the GPU in, encoded tensors out. The only place that submits: one submit, one copy and one
// map for all tensors of a frame. It stands between the head (which owns the features) and the wire.
import { IsthmusError } from '../../errors.ts';
import type { DType } from '../../tensor.ts';
import { type CodecParams, type EncodedTensor, PRESETS } from '../params.ts';
import { GrowingBuffer, ReadbackPool } from './buffers.ts';
import { keyOf } from './families.ts';
import { type FramePlan, planFrame, readFrame } from './framePlan.ts';
import { Guard } from './guard.ts';
import { type Compiled, Recorder } from './recorder.ts';
import { checkFeature } from './refusals.ts';
import { type Tuning, tuningFor } from './tuning.ts';

/** A tensor in GPU memory, row-major. The buffer needs STORAGE and COPY_SRC usage and may be longer than the tensor. */
export interface GpuFeature {
  buffer: GPUBuffer;
  /** Byte of the first element, a multiple of 4; 0 when absent. */
  offset?: number;
  shape: readonly number[];
  dtype: DType;
}

/** What the last recorded frame cost. */
export interface FrameCounters {
  dispatches: number;
  submits: number;
  maps: number;
  /** Bytes copied for reading back: an upper bound of what travels. */
  readbackBytes: number;
}

const KEPT_PLANS = 16;
/** A shape that falls into blocks, as most do. */
const PICTURE = [1, 16, 16];

/** A plan, and how to make it anew for another tuning. */
interface KeptPlan {
  plan: FramePlan;
  make(tuning: Tuning): FramePlan;
}

/** One set of parameters for all features, or one for each. */
type ParamsOf = CodecParams | readonly CodecParams[];

/**
 * Encodes features on `device`, which stays the caller's.
 *
 * What the family of `params` takes (float32 and float16) is compressed; other element types travel as family raw. The
 * bytes equal those of the CPU encoders. `encode` may be called again before an earlier call is done: frames do not mix.
 *
 * @example
 * const encoder = await GpuEncoder.create(device);
 * const [tensor] = await encoder.encode([{ buffer, shape: [1, 64, 14, 14], dtype: 'float32' }], PRESETS.slicer);
 */
export class GpuEncoder {
  /** Counters of the frame recorded last, for tests and benchmarks. */
  lastFrame: FrameCounters = { dispatches: 0, submits: 0, maps: 0, readbackBytes: 0 };

  readonly #device: GPUDevice;
  #tuning: Tuning;
  readonly #recorder: Recorder;
  readonly #arena: GrowingBuffer;
  readonly #readbacks: ReadbackPool;
  readonly #plans = new Map<string, KeptPlan>();
  readonly #guard: Guard;

  private constructor(device: GPUDevice, tuning: Tuning) {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    this.#device = device;
    this.#tuning = tuning;
    this.#recorder = new Recorder(device);
    this.#arena = new GrowingBuffer(device, 'isthmus codec arena', STORAGE | COPY_SRC | COPY_DST);
    this.#readbacks = new ReadbackPool(device);
    this.#guard = new Guard(device);
  }

  /**
   * Compiles the pipelines of the default preset; start it while the model downloads. Others are compiled by `prepare`,
   * or with the first frame that asks for them. `tuning` changes the speed, never the bytes. Throws DEVICE_LOST.
   */
  static async create(
    device: GPUDevice,
    tuning: Tuning = tuningFor(device.adapterInfo),
  ): Promise<GpuEncoder> {
    const encoder = new GpuEncoder(device, tuning);
    await encoder.prepare([{ shape: PICTURE, dtype: 'float32' }], PRESETS.isthmus);
    return encoder;
  }

  /** Compiles what encoding such features will need, so that the first frame does not wait for it. */
  async prepare(features: readonly Pick<GpuFeature, 'shape' | 'dtype'>[], params: ParamsOf): Promise<void> {
    await this.#guard.compiled(this.#recorder.compile(this.#planOf(features, params)));
  }

  /** What the encoder works with; frames recorded after a change use the new one. */
  get tuning(): Tuning {
    return this.#tuning;
  }

  set tuning(tuning: Tuning) {
    this.#tuning = tuning;
    this.#plans.clear(); // frames under way hold their own
  }

  /**
   * Goes over to another tuning once everything used lately is compiled for it, so that no frame has to wait.
   * @throws IsthmusError DEVICE_LOST, INTERNAL (it does not compile; the old tuning stays), CLOSED
   */
  async retune(tuning: Tuning): Promise<void> {
    const compiling = [...this.#plans.values()].map(({ make }) => this.#recorder.compile(make(tuning)));
    await this.#guard.compiled(Promise.all(compiling));
    this.tuning = tuning;
  }

  /**
   * Records, submits and reads back one frame. Leave the features alone until the promise settles.
   *
   * @throws IsthmusError CODEC_INVALID, INPUT_INVALID, TOO_LARGE, FEATURE_NOT_FINITE (strict), DEVICE_LOST, CLOSED
   */
  async encode(features: readonly GpuFeature[], params: ParamsOf): Promise<EncodedTensor[]> {
    this.#guard.check();
    const plan = this.#planOf(features, params);
    features.forEach((feature, i) => {
      checkFeature(feature, plan.tensors[i]!);
    });
    if (plan.readbackBytes === 0) {
      this.lastFrame = { dispatches: 0, submits: 0, maps: 0, readbackBytes: 0 };
      return readFrame(plan, new ArrayBuffer(0));
    }

    const compiled = await this.#guard.compiled(this.#recorder.compile(plan));

    // From here to mapAsync nothing waits, so frames under way can share the arena: the queue keeps their order.
    let readback: GPUBuffer | undefined;
    let succeeded = false;
    try {
      await this.#guard.run(
        plan.arenaBytes + plan.readbackBytes,
        () => {
          readback = this.#readbacks.take(plan.readbackBytes);
          this.#submit(plan, compiled, features, readback);
        },
        () => readback!.mapAsync(GPUMapMode.READ, 0, plan.readbackBytes),
      );
      succeeded = true;
      return readFrame(plan, readback!.getMappedRange(0, plan.readbackBytes));
    } catch (e) {
      // What the arena holds may be no memory at all; the next frame asks anew.
      if (!succeeded && e instanceof IsthmusError && e.code === 'TOO_LARGE') this.#arena.destroy();
      throw e;
    } finally {
      if (readback) this.#readbacks.giveBack(readback, succeeded);
    }
  }

  /** Frees the encoder's buffers; frames under way are refused with CLOSED. The device stays. */
  destroy(): void {
    this.#guard.close();
    this.#arena.destroy();
    this.#recorder.destroy();
    this.#readbacks.destroy();
    this.#plans.clear();
  }

  #planOf(features: readonly Pick<GpuFeature, 'shape' | 'dtype'>[], params: ParamsOf): FramePlan {
    const each = isList(params) ? params : features.map(() => params);
    if (each.length !== features.length)
      throw new IsthmusError(
        'CODEC_INVALID',
        `${features.length} features came with ${each.length} codecs. Pass one for all, or one for each.`,
      );
    const key = JSON.stringify([
      isList(params) ? params.map(keyOf) : keyOf(params),
      features.map(({ shape, dtype }) => [dtype, shape]),
    ]);
    const kept = this.#plans.get(key) ?? this.#makePlan(features, each);
    this.#plans.delete(key);
    this.#plans.set(key, kept); // used last, so dropped last
    if (this.#plans.size > KEPT_PLANS) this.#plans.delete(this.#plans.keys().next().value!);
    return kept.plan;
  }

  #makePlan(
    features: readonly Pick<GpuFeature, 'shape' | 'dtype'>[],
    each: readonly CodecParams[],
  ): KeptPlan {
    const specs = features.map(({ shape, dtype }) => ({ shape: [...shape], dtype })); // no buffer is kept
    const make = (tuning: Tuning) => planFrame(specs, each, this.#device.limits, tuning);
    return { plan: make(this.#tuning), make };
  }

  #submit(plan: FramePlan, compiled: Compiled, features: readonly GpuFeature[], readback: GPUBuffer): void {
    const commands = this.#device.createCommandEncoder({ label: 'isthmus encode' });
    let dispatches = 0;
    if (plan.arenaBytes > 0) {
      const arena = this.#arena.take(plan.arenaBytes);
      const inputs = features.map(({ buffer, offset = 0 }, i) => {
        return { buffer, offset, byteLength: plan.tensors[i]!.feature.byteLength };
      });
      dispatches = this.#recorder.record(commands, plan, compiled, inputs, arena);
      if (plan.outputBytes > 0) commands.copyBufferToBuffer(arena, 0, readback, 0, plan.outputBytes);
    }
    plan.tensors.forEach(({ copy }, i) => {
      const { buffer, offset = 0 } = features[i]!;
      if (copy) commands.copyBufferToBuffer(buffer, offset, readback, copy.offset, copy.size);
    });
    this.#device.queue.submit([commands.finish()]);
    this.lastFrame = { dispatches, submits: 1, maps: 1, readbackBytes: plan.readbackBytes };
  }
}

const isList = (params: ParamsOf): params is readonly CodecParams[] => Array.isArray(params);
