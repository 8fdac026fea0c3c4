// Records the stages of a frame plan into a command encoder: pipelines, bind groups and uniforms in one compute pass.
// It submits nothing and reads nothing back.

import { IsthmusError } from '../../errors.ts';
import { BindGroups } from './bindGroups.ts';
import { GrowingBuffer } from './buffers.ts';
import { type PassSpec, UNIFORM_WORDS } from './family.ts';
import { ALIGNMENT, type ArenaPlan } from './framePlan.ts';
import { Pipelines } from './pipelines.ts';

/** What a tensor's passes read, and for decoders the buffer that stands for the region `feature`. */
export interface Input {
  buffer: GPUBuffer;
  offset: number;
  byteLength: number;
  target?: GPUBuffer;
}

/** The pipelines of a plan. */
export type Compiled = ReadonlyMap<PassSpec, GPUComputePipeline>;

export class Recorder {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #bindGroups: BindGroups;
  readonly #uniforms: GrowingBuffer;
  readonly #compiled = new WeakMap<ArenaPlan, Compiled>();

  constructor(device: GPUDevice) {
    const { UNIFORM, COPY_DST } = GPUBufferUsage;
    this.#device = device;
    this.#pipelines = Pipelines.of(device);
    this.#bindGroups = new BindGroups(device, this.#pipelines);
    this.#uniforms = new GrowingBuffer(device, 'isthmus codec uniforms', UNIFORM | COPY_DST);
  }

  /** Compiles, concurrently, what the plan needs and was not compiled before. */
  async compile(plan: ArenaPlan): Promise<Compiled> {
    let compiled = this.#compiled.get(plan);
    if (!compiled) {
      const stages = plan.tensors.flatMap((t) => t.plan.stages);
      const passes = stages.flatMap(({ storage, tables = [], dispatches }) =>
        dispatches.map(async ({ pass }) => {
          const bindings = { storage: storage.length, tables: tables.length };
          return [pass, await this.#pipelines.pipeline(pass, bindings)] as const;
        }),
      );
      compiled = new Map(await Promise.all(passes));
      this.#compiled.set(plan, compiled);
    }
    return compiled;
  }

  /**
   * Clears what must be zero and records every dispatch; the uniforms are written to the queue at once, so submit next.
   *
   * @param inputs one per tensor
   * @returns the number of dispatches
   */
  record(
    commands: GPUCommandEncoder,
    plan: ArenaPlan,
    compiled: Compiled,
    inputs: readonly Input[],
    arena: GPUBuffer,
  ): number {
    const { zeroed } = plan;
    if (zeroed.size > 0) commands.clearBuffer(arena, zeroed.offset, zeroed.size);
    const stages = plan.tensors.flatMap((tensor, i) =>
      tensor.plan.stages.map((stage) => ({ tensor, stage, input: inputs[i]! })),
    );
    const uniforms = this.#uniforms.take(stages.length * ALIGNMENT);
    const values = new Uint32Array((stages.length * ALIGNMENT) / 4);
    let dispatches = 0;
    const pass = commands.beginComputePass({ label: 'isthmus codec' });
    stages.forEach(({ tensor: { ranges }, stage, input: { buffer, offset, byteLength, target } }, n) => {
      const input = this.#bindGroups.ofInput(buffer, offset, byteLength, stage);
      const at = n * ALIGNMENT;
      if (stage.uniform.length > UNIFORM_WORDS)
        throw new IsthmusError(
          'INTERNAL',
          `A uniform has ${stage.uniform.length} words. Please report this defect.`,
        );
      values.set(stage.uniform, at / 4);
      values[at / 4 + 1] = input.first;
      pass.setBindGroup(0, this.#bindGroups.ofState(stage, ranges, { arena, uniforms, at, target }));
      pass.setBindGroup(1, input.group);
      for (const { pass: spec, workgroups } of stage.dispatches) {
        pass.setPipeline(compiled.get(spec)!);
        pass.dispatchWorkgroups(workgroups);
      }
      dispatches += stage.dispatches.length;
    });
    pass.end();
    this.#device.queue.writeBuffer(uniforms, 0, values);
    return dispatches;
  }

  destroy(): void {
    this.#uniforms.destroy();
  }
}
