// The passes of the SLICER encoder as objects that record themselves into a compute pass. They own pipelines and bind
// group layouts; buffers, order of phases and submission belong to encoder.ts.
import { SLICER_SHADERS } from './shaders.ts';

/** What suits the adapter; the bytes do not depend on it. */
export interface Tuning {
  /** Invocations per workgroup; see WORKGROUP in slicerState.wgsl. */
  workgroup: number;
  /** Workgroups per dispatch at most: few and fat, because each resolves the histograms anew. */
  workgroups: number;
  /** Whether the first histogram is gathered in workgroup memory. */
  sharedBins: boolean;
}

export const HARDWARE: Tuning = { workgroup: 256, workgroups: 64, sharedBins: true };
/**
 * SwiftShader makes a coroutine of every four invocations of a shader that has a barrier, about 20 µs each, while the
 * loop itself runs at a few nanoseconds per element: there, as few invocations as keep its threads busy. It also
 * compiles for about 0.6 ms per word of workgroup memory, which it zeroes one by one: there, as little as possible.
 */
export const SOFTWARE: Tuning = { workgroup: 32, workgroups: 4, sharedBins: false };

export function tuningFor(info: Partial<GPUAdapterInfo> | undefined): Tuning {
  const isSoftware =
    info?.isFallbackAdapter ||
    /swiftshader|llvmpipe|warp/i.test(`${info?.architecture} ${info?.description}`);
  return isSoftware ? SOFTWARE : HARDWARE;
}

/** Elements that one workgroup counts and scatters at a time. */
export const tileOf = ({ workgroup }: Tuning): number => workgroup * 32;

/** The storage buffers of group 0, by binding; 0 is the uniform. */
export const STORAGE_BINDINGS = ['selection', 'chosen', 'counts', 'tags', 'grouped', 'output'] as const;

/**
 * The selections, by their number in slicerState.wgsl. `only` does everything when signs compete alike; otherwise
 * `survive` finds who survives and `split` parts the survivors into blocks.
 */
const PHASES = { only: 0, survive: 1, split: 2 } as const;
export type PhaseName = keyof typeof PHASES;

interface Bindings {
  /** Group 0: the encoder's own buffers. */
  state: GPUBindGroup;
  /** Group 1: the feature. */
  feature: GPUBindGroup;
}

export interface Pass {
  readonly name: string;
  /** One dispatch, for a feature of `tiles` tiles. */
  record(pass: GPUComputePassEncoder, bindings: Bindings, tiles: number): void;
}

interface Step {
  file: keyof typeof SLICER_SHADERS;
  constants?: Record<string, number>;
  /** One workgroup whatever the size. */
  single?: true;
}

const SELECT: readonly Step[] = [
  { file: 'stats' },
  { file: 'narrow', constants: { LEVEL: 2 } },
  { file: 'narrow', constants: { LEVEL: 3 } },
  { file: 'count' },
  { file: 'prefix', single: true },
];
const STEPS: Record<PhaseName, readonly Step[]> = {
  only: [...SELECT, { file: 'scatter' }, { file: 'pack' }],
  survive: SELECT,
  split: [...SELECT, { file: 'scatter' }, { file: 'pack' }],
};

/** Pipelines per phase, compiled once, on demand. */
export class Passes {
  readonly stateLayout: GPUBindGroupLayout;
  readonly featureLayout: GPUBindGroupLayout;
  readonly tuning: Tuning;
  readonly #device: GPUDevice;
  readonly #layout: GPUPipelineLayout;
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #phases = new Map<PhaseName, Promise<readonly Pass[]>>();

  constructor(device: GPUDevice, tuning: Tuning) {
    this.#device = device;
    this.tuning = tuning;
    const buffer = (binding: number, type: GPUBufferBindingType): GPUBindGroupLayoutEntry => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type },
    });
    this.stateLayout = device.createBindGroupLayout({
      label: 'isthmus slicer state',
      entries: [buffer(0, 'uniform'), ...STORAGE_BINDINGS.map((_, i) => buffer(i + 1, 'storage'))],
    });
    this.featureLayout = device.createBindGroupLayout({
      label: 'isthmus feature',
      entries: [buffer(0, 'read-only-storage')],
    });
    this.#layout = device.createPipelineLayout({
      label: 'isthmus slicer',
      bindGroupLayouts: [this.stateLayout, this.featureLayout],
    });
  }

  /** The passes of a phase in the order in which they run. Compiles them, concurrently, on the first call. */
  phase(name: PhaseName): Promise<readonly Pass[]> {
    let passes = this.#phases.get(name);
    if (!passes) {
      passes = Promise.all(STEPS[name].map((step) => this.#compile(step, PHASES[name])));
      this.#phases.set(name, passes);
    }
    return passes;
  }

  async #compile({ file, constants, single }: Step, phase: number): Promise<Pass> {
    const { workgroup, workgroups, sharedBins } = this.tuning;
    const bins = file === 'stats' ? { SHARED_BINS: sharedBins ? 2048 : 1 } : {};
    const label = `isthmus slicer ${file}`;
    const module =
      this.#modules.get(file) ?? this.#device.createShaderModule({ label, code: SLICER_SHADERS[file] });
    this.#modules.set(file, module);
    const pipeline = await this.#device.createComputePipelineAsync({
      label,
      layout: this.#layout,
      compute: {
        module,
        entryPoint: 'main',
        constants: { WORKGROUP: workgroup, PHASE: phase, ...bins, ...constants },
      },
    });
    return {
      name: file,
      record(pass, { state, feature }, tiles) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, state);
        pass.setBindGroup(1, feature);
        pass.dispatchWorkgroups(single ? 1 : Math.min(tiles, workgroups));
      },
    };
  }
}
