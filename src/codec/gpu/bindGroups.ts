// Bind groups, made once and found again while shapes and buffers repeat. ORT hands out features from a small pool of
// buffers, so remembering them by identity is enough; nothing here keeps a dead buffer alive.
import { ALIGNMENT, type Phase, UNIFORM_WORDS } from './framePlan.ts';
import { type Passes, STORAGE_BINDINGS } from './passes.ts';

interface FeatureBinding {
  group: GPUBindGroup;
  /** Element 0 in words from the start of the binding: offsets of bindings are coarser than those of tensors. */
  first: number;
}

interface StateBinding {
  group: GPUBindGroup;
  arena: GPUBuffer;
  uniforms: GPUBuffer;
  at: number;
}

export class BindGroups {
  readonly #device: GPUDevice;
  readonly #passes: Pick<Passes, 'stateLayout' | 'featureLayout'>;
  readonly #features = new WeakMap<GPUBuffer, Map<string, FeatureBinding>>();
  readonly #states = new WeakMap<Phase, StateBinding>();

  constructor(device: GPUDevice, passes: Pick<Passes, 'stateLayout' | 'featureLayout'>) {
    this.#device = device;
    this.#passes = passes;
  }

  /** Group 1 for `byteLength` bytes of `buffer` from byte `offset`. */
  ofFeature(buffer: GPUBuffer, offset: number, byteLength: number): FeatureBinding {
    const known = this.#features.get(buffer) ?? new Map<string, FeatureBinding>();
    this.#features.set(buffer, known);
    const key = `${offset}+${byteLength}`;
    let binding = known.get(key);
    if (!binding) {
      const start = Math.floor(offset / ALIGNMENT) * ALIGNMENT;
      const group = this.#device.createBindGroup({
        label: 'isthmus feature',
        layout: this.#passes.featureLayout,
        entries: [{ binding: 0, resource: { buffer, offset: start, size: offset - start + byteLength } }],
      });
      binding = { group, first: (offset - start) / 4 };
      known.set(key, binding);
    }
    return binding;
  }

  /** Group 0 of a selection whose uniform lies at byte `at`; made anew only when a buffer has grown. */
  ofState(phase: Phase, arena: GPUBuffer, uniforms: GPUBuffer, at: number): GPUBindGroup {
    const known = this.#states.get(phase);
    if (known?.arena === arena && known.uniforms === uniforms && known.at === at) return known.group;
    const group = this.#device.createBindGroup({
      label: 'isthmus slicer state',
      layout: this.#passes.stateLayout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: at, size: UNIFORM_WORDS * 4 } },
        ...STORAGE_BINDINGS.map((name, i) => ({
          binding: i + 1,
          resource: { buffer: arena, ...phase.ranges[name] },
        })),
      ],
    });
    this.#states.set(phase, { group, arena, uniforms, at });
    return group;
  }
}
