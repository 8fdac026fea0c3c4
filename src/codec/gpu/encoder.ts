// GpuEncoder: features on the GPU in, encoded tensors out. The only place that submits: one submit, one copy and one
// map for all tensors of a frame. It stands between the head (which owns the features) and the wire.
import { IsthmusError } from '../../errors.ts';
import type { DType } from '../../tensor.ts';
import type { CodecParams, EncodedTensor } from '../params.ts';
import { BindGroups } from './bindGroups.ts';
import { GrowingBuffer, ReadbackPool } from './buffers.ts';
import { ALIGNMENT, type FramePlan, planFrame } from './framePlan.ts';
import { type Pass, Passes, type PhaseName, type Tuning, tileOf, tuningFor } from './passes.ts';
import { readFrame } from './readout.ts';
import { checkFeature, closed, deviceLost, lossOf, noMemory, refusal } from './refusals.ts';

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

/**
 * Encodes features on `device`, which stays the caller's.
 *
 * Float32 features are compressed by `params`; other element types travel as family raw. The bytes equal those of
 * the CPU encoders. `encode` may be called again before an earlier call is done: frames do not mix.
 *
 * @example
 * const encoder = await GpuEncoder.create(device);
 * const [tensor] = await encoder.encode([{ buffer, shape: [1, 64, 14, 14], dtype: 'float32' }], PRESETS.slicer);
 */
export class GpuEncoder {
  /** Counters of the frame recorded last, for tests and benchmarks. */
  lastFrame: FrameCounters = { dispatches: 0, submits: 0, maps: 0, readbackBytes: 0 };

  readonly #device: GPUDevice;
  readonly #passes: Passes;
  readonly #arena: GrowingBuffer;
  readonly #uniforms: GrowingBuffer;
  readonly #readbacks: ReadbackPool;
  readonly #bindGroups: BindGroups;
  readonly #plans = new Map<string, FramePlan>();
  #lost: GPUDeviceLostInfo | undefined;
  #closed = false;

  private constructor(device: GPUDevice, passes: Passes) {
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
    this.#device = device;
    this.#passes = passes;
    this.#arena = new GrowingBuffer(device, 'isthmus codec arena', STORAGE | COPY_SRC | COPY_DST);
    this.#uniforms = new GrowingBuffer(device, 'isthmus codec uniforms', UNIFORM | COPY_DST);
    this.#readbacks = new ReadbackPool(device);
    this.#bindGroups = new BindGroups(device, passes);
    void device.lost.then((info) => {
      this.#lost = info;
    });
  }

  /**
   * Compiles the pipelines; start it while the model downloads. What only an asymmetry below 1 needs is compiled with
   * the first frame that asks for it. `tuning` changes the speed, never the bytes. Throws DEVICE_LOST.
   */
  static async create(
    device: GPUDevice,
    tuning: Tuning = tuningFor(device.adapterInfo),
  ): Promise<GpuEncoder> {
    const encoder = new GpuEncoder(device, new Passes(device, tuning));
    await encoder.#compile(['only']);
    const lost = await Promise.race([device.lost, undefined]); // a lost device compiles without complaint
    if (lost) throw deviceLost(lost);
    return encoder;
  }

  /**
   * Records, submits and reads back one frame. Leave the features alone until the promise settles.
   *
   * @throws IsthmusError CODEC_INVALID, INPUT_INVALID, TOO_LARGE, FEATURE_NOT_FINITE (strict), DEVICE_LOST, CLOSED
   */
  async encode(features: readonly GpuFeature[], params: CodecParams): Promise<EncodedTensor[]> {
    if (this.#closed) throw closed();
    if (this.#lost) throw deviceLost(this.#lost);
    const plan = this.#planOf(features, params);
    features.forEach((feature, i) => {
      checkFeature(feature, plan.tensors[i]!);
    });
    if (plan.readbackBytes === 0) {
      this.lastFrame = { dispatches: 0, submits: 0, maps: 0, readbackBytes: 0 };
      return readFrame(plan, new ArrayBuffer(0));
    }

    const passes = await this.#compile(plan.tensors.flatMap((t) => t.phases.map((phase) => phase.name)));
    if (this.#closed) throw closed();

    // From here to mapAsync nothing waits, so frames under way can share the arena: the queue keeps their order.
    // Without scopes a refused submit would leave the readback buffer's old bytes in place and look like success.
    this.#device.pushErrorScope('out-of-memory');
    this.#device.pushErrorScope('validation');
    const readback = this.#readbacks.take(plan.readbackBytes);
    this.#submit(plan, passes, features, readback);
    const invalid = this.#device.popErrorScope();
    const memory = this.#device.popErrorScope();
    const mapped = readback.mapAsync(GPUMapMode.READ, 0, plan.readbackBytes);
    let succeeded = false;
    try {
      const outcomes = await Promise.allSettled([memory, invalid, mapped]);
      if (this.#closed) throw closed();
      const [outOfMemory, refused, map] = outcomes;
      const lost = map.status === 'rejected' ? await lossOf(this.#device) : this.#lost;
      if (lost) throw deviceLost(lost, map.status === 'rejected' ? map.reason : undefined);
      if (outOfMemory.status === 'fulfilled' && outOfMemory.value) {
        this.#arena.destroy(); // what it holds may be no memory at all; the next frame asks anew
        throw noMemory(plan.arenaBytes + plan.readbackBytes, outOfMemory.value);
      }
      if (refused.status === 'fulfilled' && refused.value) throw refusal(refused.value);
      if (map.status === 'rejected') throw refusal(map.reason);
      succeeded = true;
      return readFrame(plan, readback.getMappedRange(0, plan.readbackBytes));
    } finally {
      this.#readbacks.giveBack(readback, succeeded);
    }
  }

  /** Frees the encoder's buffers; frames under way are refused with CLOSED. The device stays. */
  destroy(): void {
    this.#closed = true;
    this.#arena.destroy();
    this.#uniforms.destroy();
    this.#readbacks.destroy();
    this.#plans.clear();
  }

  #planOf(features: readonly GpuFeature[], params: CodecParams): FramePlan {
    const key = JSON.stringify([params, features.map(({ shape, dtype }) => [dtype, shape])]);
    const plan =
      this.#plans.get(key) ?? planFrame(features, params, this.#device.limits, tileOf(this.#passes.tuning));
    this.#plans.delete(key);
    this.#plans.set(key, plan); // used last, so dropped last
    if (this.#plans.size > KEPT_PLANS) this.#plans.delete(this.#plans.keys().next().value!);
    return plan;
  }

  async #compile(names: readonly PhaseName[]): Promise<Map<PhaseName, readonly Pass[]>> {
    try {
      const unique = [...new Set(names)];
      return new Map(await Promise.all(unique.map(async (n) => [n, await this.#passes.phase(n)] as const)));
    } catch (e) {
      const lost = await lossOf(this.#device);
      if (lost) throw deviceLost(lost, e);
      throw IsthmusError.from(e, 'INTERNAL', 'The codec’s shaders do not compile here; report the adapter.');
    }
  }

  #submit(
    plan: FramePlan,
    passes: ReadonlyMap<PhaseName, readonly Pass[]>,
    features: readonly GpuFeature[],
    readback: GPUBuffer,
  ): void {
    const commands = this.#device.createCommandEncoder({ label: 'isthmus encode' });
    let dispatches = 0;
    if (plan.outputBytes > 0) {
      const arena = this.#arena.take(plan.arenaBytes);
      commands.clearBuffer(arena, plan.zeroed.offset, plan.zeroed.size);
      dispatches = this.#recordSlicer(commands, plan, passes, features, arena);
      commands.copyBufferToBuffer(arena, 0, readback, 0, plan.outputBytes);
    }
    plan.tensors.forEach(({ kind, readback: { offset, size } }, i) => {
      const feature = features[i]!;
      if (kind === 'copy')
        commands.copyBufferToBuffer(feature.buffer, feature.offset ?? 0, readback, offset, size);
    });
    this.#device.queue.submit([commands.finish()]);
    this.lastFrame = { dispatches, submits: 1, maps: 1, readbackBytes: plan.readbackBytes };
  }

  #recordSlicer(
    commands: GPUCommandEncoder,
    plan: FramePlan,
    passes: ReadonlyMap<PhaseName, readonly Pass[]>,
    features: readonly GpuFeature[],
    arena: GPUBuffer,
  ): number {
    const phases = plan.tensors.flatMap((tensor, i) =>
      tensor.phases.map((phase) => ({ tensor, phase, feature: features[i]! })),
    );
    const uniforms = this.#uniforms.take(phases.length * ALIGNMENT);
    const values = new Uint32Array((phases.length * ALIGNMENT) / 4);
    let dispatches = 0;
    const pass = commands.beginComputePass({ label: 'isthmus encode' });
    phases.forEach(({ tensor, phase, feature }, at) => {
      const { group, first } = this.#bindGroups.ofFeature(
        feature.buffer,
        feature.offset ?? 0,
        tensor.byteLength,
      );
      values.set(phase.uniform, (at * ALIGNMENT) / 4);
      values[(at * ALIGNMENT) / 4 + 1] = first;
      const state = this.#bindGroups.ofState(phase, arena, uniforms, at * ALIGNMENT);
      const steps = passes.get(phase.name)!;
      for (const step of steps) step.record(pass, { state, feature: group }, tensor.tiles);
      dispatches += steps.length;
    });
    pass.end();
    this.#device.queue.writeBuffer(uniforms, 0, values);
    return dispatches;
  }
}
