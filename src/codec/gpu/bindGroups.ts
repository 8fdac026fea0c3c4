// Bind groups, made once and found again while shapes and buffers repeat. ORT hands out features from a small pool of
// buffers, so remembering them by identity is enough; nothing here keeps a dead buffer alive.
import type { Stage, Tables } from './family.ts';
import { ALIGNMENT, type Range } from './framePlan.ts';
import type { Pipelines } from './pipelines.ts';

/** Bindings remembered per buffer; a decoder's differ in length all the time. */
const KEPT = 32;

interface InputBinding {
  group: GPUBindGroup;
  /** Element 0 in words from the start of the binding: offsets of bindings are coarser than those of tensors. */
  first: number;
}

/** Where a stage's state lies. */
interface StateBuffers {
  arena: GPUBuffer;
  uniforms: GPUBuffer;
  /** Byte of the stage's uniform. */
  at: number;
  /** Stands for the region `feature`. */
  target?: GPUBuffer | undefined;
}

interface StateBinding extends StateBuffers {
  group: GPUBindGroup;
}

interface Uploaded {
  id: number;
  buffer: GPUBuffer;
}

export class BindGroups {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #inputs = new WeakMap<GPUBuffer, Map<string, InputBinding>>();
  readonly #states = new WeakMap<Stage, StateBinding>();
  readonly #tables = new WeakMap<Tables, Uploaded>();
  #uploads = 0;

  constructor(device: GPUDevice, pipelines: Pipelines) {
    this.#device = device;
    this.#pipelines = pipelines;
  }

  /** Group 1 of a stage for `byteLength` bytes of `buffer` from byte `offset`. */
  ofInput(buffer: GPUBuffer, offset: number, byteLength: number, stage: Stage): InputBinding {
    const known = this.#inputs.get(buffer) ?? new Map<string, InputBinding>();
    this.#inputs.set(buffer, known);
    const tables = (stage.tables ?? []).map((t) => this.#upload(t));
    const key = `${offset}+${byteLength}+${tables.map((t) => t.id)}`;
    let binding = known.get(key);
    if (!binding) {
      const start = Math.floor(offset / ALIGNMENT) * ALIGNMENT;
      const size = Math.ceil((offset - start + byteLength) / 4) * 4;
      const group = this.#device.createBindGroup({
        label: 'isthmus codec input',
        layout: this.#pipelines.inputLayout(tables.length),
        entries: [
          { binding: 0, resource: { buffer, offset: start, size } },
          ...tables.map((t, i) => ({ binding: i + 1, resource: { buffer: t.buffer } })),
        ],
      });
      binding = { group, first: (offset - start) / 4 };
      if (known.size >= KEPT) known.delete(known.keys().next().value!);
      known.set(key, binding);
    }
    return binding;
  }

  /** Group 0 of a stage; made anew only when a buffer has grown. */
  ofState(stage: Stage, ranges: ReadonlyMap<string, Range>, buffers: StateBuffers): GPUBindGroup {
    const { arena, uniforms, at, target } = buffers;
    const known = this.#states.get(stage);
    if (known?.arena === arena && known.uniforms === uniforms && known.at === at && known.target === target)
      return known.group;
    const group = this.#device.createBindGroup({
      label: 'isthmus codec state',
      layout: this.#pipelines.stateLayout(stage.storage.length),
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: at, size: ALIGNMENT } },
        ...stage.storage.map((name, i) => ({
          binding: i + 1,
          resource:
            name === 'feature' && target ? { buffer: target } : { buffer: arena, ...ranges.get(name)! },
        })),
      ],
    });
    this.#states.set(stage, { group, ...buffers });
    return group;
  }

  /** A table's buffer, filled on the first call. Freed with the table object, or with the device. */
  #upload(table: Tables): Uploaded {
    let uploaded = this.#tables.get(table);
    if (!uploaded) {
      const buffer = this.#device.createBuffer({
        label: 'isthmus codec table',
        size: Math.max(4, table.byteLength),
        usage: GPUBufferUsage.STORAGE,
        mappedAtCreation: true,
      });
      new Uint8Array(buffer.getMappedRange()).set(
        new Uint8Array(table.buffer, table.byteOffset, table.byteLength),
      );
      buffer.unmap();
      uploaded = { id: this.#uploads++, buffer };
      this.#tables.set(table, uploaded);
    }
    return uploaded;
  }
}
