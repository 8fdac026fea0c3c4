// SegmentChain: onnxruntime sessions of segments 0…n on one device, run one after the other. On WebGPU the tensors
// between them stay in GPU buffers. It neither downloads, preprocesses nor encodes.
import * as ort from 'onnxruntime-web/webgpu';
import { IsthmusError } from '../errors.ts';
import { exitPart, type Manifest, partOf, type TensorInfo } from '../model/manifest.ts';
import type { Tensor, TensorData, Tensors } from '../tensor.ts';
import { inferenceError } from './ortEnvironment.ts';

/** What came out of a run. Dispose it after the commands that read its buffers were submitted, not before. */
export interface ChainResult {
  tensors: Map<string, ort.Tensor>;
  dispose(): void;
}

export class SegmentChain {
  readonly #manifest: Manifest;
  readonly #device: GPUDevice | undefined;
  readonly #sessions: (ort.InferenceSession | undefined)[] = [];

  /** @param device the device to run on; without one the segments run in WebAssembly */
  constructor(manifest: Manifest, device?: GPUDevice) {
    this.#manifest = manifest;
    this.#device = device;
  }

  has(segment: number): boolean {
    return this.#sessions[segment] !== undefined;
  }

  /** Compiles a segment, or an exit (see partOf). @throws IsthmusError INFERENCE_FAILED saying what to do. */
  async add(segment: number, bytes: Uint8Array): Promise<void> {
    const isLast = segment >= this.#manifest.segments.length - 1;
    const { outputs } = partOf(this.#manifest, segment);
    // Features stay on the GPU; what the page reads anyway, and what the codec takes from the CPU, does not.
    const location = (info: TensorInfo) => (!isLast && info.dtype === 'float32' ? 'gpu-buffer' : 'cpu');
    try {
      this.#sessions[segment] = await ort.InferenceSession.create(bytes, {
        executionProviders: this.#device
          ? [
              {
                name: 'webgpu',
                device: this.#device as unknown as object,
              } as ort.InferenceSession.ExecutionProviderConfig,
            ]
          : ['wasm'],
        ...(this.#device && {
          preferredOutputLocation: Object.fromEntries(outputs.map((info) => [info.name, location(info)])),
        }),
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
      });
    } catch (thrown) {
      throw inferenceError(thrown, `Compiling segment ${segment} of '${this.#manifest.name}'`);
    }
  }

  /**
   * Runs segments first…last.
   * @param feeds the inputs of the first; they stay the caller's
   * @param wanted tensors to keep until `dispose`
   */
  async run(
    feeds: ReadonlyMap<string, ort.Tensor>,
    last: number,
    wanted: string[],
    first = 0,
  ): Promise<ChainResult> {
    const alive = new Map(feeds);
    const drop = (name: string) => {
      if (!feeds.has(name)) alive.get(name)?.dispose();
      alive.delete(name);
    };
    try {
      for (let i = first; i <= last; i++) {
        const outputs = await this.#runOne(i, alive);
        for (const [name, tensor] of Object.entries(outputs)) alive.set(name, tensor);
        const needed = new Set(wanted);
        for (let j = i + 1; j <= last; j++)
          for (const t of this.#manifest.segments[j]!.inputs) needed.add(t.name);
        for (const name of [...alive.keys()]) if (!needed.has(name)) drop(name);
      }
      const missing = wanted.find((name) => !alive.has(name));
      if (missing !== undefined) {
        throw new IsthmusError(
          'MANIFEST_INVALID',
          `No segment makes the tensor '${missing}'. Make the manifest anew with \`isthmus split\`.`,
        );
      }
    } catch (thrown) {
      for (const name of [...alive.keys()]) drop(name);
      throw thrown;
    }
    return {
      tensors: alive,
      dispose: () => {
        for (const name of [...alive.keys()]) drop(name);
      },
    };
  }

  /** Runs an exit on the tensors of its cut; its outputs lie on the CPU. */
  async runExit(exit: number, feature: ReadonlyMap<string, ort.Tensor>): Promise<Tensors> {
    const outputs = new Map(Object.entries(await this.#runOne(exitPart(this.#manifest, exit), feature)));
    const answer = await fromOrt(outputs, [...outputs.keys()]);
    for (const tensor of outputs.values()) tensor.dispose();
    return answer;
  }

  async #runOne(segment: number, alive: ReadonlyMap<string, ort.Tensor>) {
    const session = this.#sessions[segment];
    if (!session) throw new IsthmusError('INTERNAL', `Segment ${segment} is not loaded; please report it.`);
    const feeds: Record<string, ort.Tensor> = {};
    for (const name of session.inputNames) {
      const tensor = alive.get(name);
      if (!tensor) {
        throw new IsthmusError(
          'MANIFEST_INVALID',
          `Segment ${segment} needs '${name}', which nothing before it makes. Make the chain anew with \`isthmus split\`.`,
        );
      }
      feeds[name] = tensor;
    }
    try {
      return await session.run(feeds);
    } catch (thrown) {
      throw inferenceError(thrown, `Running segment ${segment} of '${this.#manifest.name}'`);
    }
  }

  /** Frees all sessions; the device is left alone. */
  async release(): Promise<void> {
    for (const session of this.#sessions.splice(0)) await session?.release().catch(() => undefined);
  }
}

/** Our tensor as onnxruntime's, sharing memory. */
export function toOrt({ dtype, shape, data }: Tensor): ort.Tensor {
  return new ort.Tensor(dtype as 'float32', data as Float32Array, shape);
}

/** Reads tensors back to the CPU, wherever they lie; data is copied out of onnxruntime's memory. */
export async function fromOrt(tensors: ReadonlyMap<string, ort.Tensor>, names: string[]): Promise<Tensors> {
  const result: Tensors = {};
  for (const name of names) {
    const tensor = tensors.get(name)!;
    const data = (await tensor.getData()) as TensorData;
    // Float16Array, where the platform has it, becomes the raw patterns that Isthmus uses.
    const patterns =
      tensor.type === 'float16' && !(data instanceof Uint16Array)
        ? new Uint16Array(data.buffer, data.byteOffset, data.length)
        : data;
    result[name] = {
      dtype: tensor.type as Tensor['dtype'],
      shape: [...tensor.dims],
      data: patterns.slice() as TensorData,
    };
  }
  return result;
}
