// Compute pipelines and their layouts, made once per device from what families describe. Recording and submission belong
// to encoder.ts and decoder.ts.
import type { PassSpec } from './family.ts';

/** How many buffers a pipeline's groups hold beside the uniform and the feature. */
export interface Bindings {
  storage: number;
  tables: number;
}

const OF_DEVICE = new WeakMap<GPUDevice, Pipelines>();

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  private constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Those of a device: encoders and decoders on it share them. */
  static of(device: GPUDevice): Pipelines {
    const pipelines = OF_DEVICE.get(device) ?? new Pipelines(device);
    OF_DEVICE.set(device, pipelines);
    return pipelines;
  }

  /** Group 0: the uniform and `storage` ranges of the arena. */
  stateLayout(storage: number): GPUBindGroupLayout {
    return this.#layout('isthmus codec state', storage, 'storage', 'uniform');
  }

  /** Group 1: what is only read, the feature first, then `tables`. */
  inputLayout(tables: number): GPUBindGroupLayout {
    return this.#layout('isthmus codec input', tables, 'read-only-storage', 'read-only-storage');
  }

  #layout(
    label: string,
    more: number,
    rest: GPUBufferBindingType,
    first: GPUBufferBindingType,
  ): GPUBindGroupLayout {
    const key = `${label} ${more}`;
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        label,
        entries: Array.from({ length: 1 + more }, (_, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: binding === 0 ? first : rest },
        })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  /** Compiles on the first call. */
  pipeline({ name, code, constants = {} }: PassSpec, bindings: Bindings): Promise<GPUComputePipeline> {
    const key = JSON.stringify([name, constants, bindings]);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      const label = `isthmus ${name}`;
      const module = this.#module(name, label, code);
      pipeline = this.#device
        .createComputePipelineAsync({
          label,
          layout: this.#device.createPipelineLayout({
            label,
            bindGroupLayouts: [this.stateLayout(bindings.storage), this.inputLayout(bindings.tables)],
          }),
          compute: { module, entryPoint: 'main', constants },
        })
        .catch((e) => explain(name, module, e));
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  #module(name: string, label: string, code: string): GPUShaderModule {
    let module = this.#modules.get(name);
    if (!module) {
      // The pipeline says what is wrong; as an error of the device it would end the run of whoever listens there.
      this.#device.pushErrorScope('validation');
      module = this.#device.createShaderModule({ label, code });
      this.#device.popErrorScope().catch(() => undefined); // a lost device is reported elsewhere
      this.#modules.set(name, module);
    }
    return module;
  }
}

/** Says in which line a module is wrong; the pipeline's own error does not. */
async function explain(name: string, module: GPUShaderModule, cause: unknown): Promise<never> {
  const { messages } = await module.getCompilationInfo();
  const error = messages.find(({ type }) => type === 'error');
  throw error ? new Error(`${name}, line ${error.lineNum}: ${error.message}`, { cause }) : cause;
}
