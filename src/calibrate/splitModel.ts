// SplitModel: the segments of a model folder on onnxruntime-node, to run heads and tails on batches, in this process: the
// command has nothing else to do meanwhile. Serving and heads on devices have runtimes of their own.
import { type InferenceSession, Tensor as OrtTensor, InferenceSession as Sessions } from 'onnxruntime-node';
import { IsthmusError } from '../errors.ts';
import { concreteShape, type Manifest } from '../model/manifest.ts';
import { readManifest, readPart } from '../model/node/modelFolder.ts';
import { elementCount } from '../tensor.ts';

/** float32 tensors by name; the first dimension of each is the batch. */
export type Batch = ReadonlyMap<string, Float32Array>;

export class SplitModel {
  readonly manifest: Manifest;
  readonly #sessions: readonly InferenceSession[];
  /** Models with a fixed batch of one run one by one. */
  readonly #batched: boolean;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;

  private constructor(manifest: Manifest, sessions: readonly InferenceSession[]) {
    this.manifest = manifest;
    this.#sessions = sessions;
    const tensors = endsOf(manifest);
    this.#batched = tensors.every(({ shape }) => typeof shape[0] === 'string');
    this.#shapes = new Map(tensors.map((info) => [info.name, concreteShape(info)]));
  }

  /**
   * Loads and compiles all segments, each checked against the manifest.
   * @throws IsthmusError of {@link readManifest} and {@link readPart}; MODEL_UNSUPPORTED (a tensor that is not float32),
   *   INFERENCE_FAILED
   */
  static async open(folder: string): Promise<SplitModel> {
    const manifest = await readManifest(folder);
    const other = endsOf(manifest).find(({ dtype }) => dtype !== 'float32');
    if (other) {
      throw new IsthmusError(
        'MODEL_UNSUPPORTED',
        `'${other.name}' of the model '${manifest.name}' is ${other.dtype}; only float32 is calibrated yet. Split it with other --cuts, or use it as it is: its frames do without a profile.`,
      );
    }
    const sessions: InferenceSession[] = [];
    for (const segment of manifest.segments) {
      const bytes = await readPart(folder, segment);
      try {
        sessions.push(await Sessions.create(bytes, { logSeverityLevel: 3 }));
      } catch (thrown) {
        throw IsthmusError.from(thrown, 'INFERENCE_FAILED', `onnxruntime-node cannot load ${segment.file}.`);
      }
    }
    return new SplitModel(manifest, sessions);
  }

  /** Shape of a tensor for a batch of one. */
  shapeOf(name: string): readonly number[] {
    return this.#shapes.get(name)!;
  }

  /** Runs segments `first`…`last` on `count` samples: what crosses the cut before `first` in, what crosses the one after `last` out. */
  async run(inputs: Batch, count: number, first: number, last: number): Promise<Map<string, Float32Array>> {
    if (this.#batched || count === 1) return this.#runBatch(inputs, count, first, last);
    const singles: Map<string, Float32Array>[] = [];
    for (let i = 0; i < count; i++) {
      const one = [...inputs].map(([name, data]) => {
        const size = data.length / count;
        return [name, data.subarray(i * size, (i + 1) * size)] as const;
      });
      singles.push(await this.#runBatch(new Map(one), 1, first, last));
    }
    const joined = new Map<string, Float32Array>();
    for (const name of singles[0]!.keys()) {
      const size = singles[0]!.get(name)!.length;
      const all = new Float32Array(size * count);
      singles.forEach((single, i) => {
        all.set(single.get(name)!, i * size);
      });
      joined.set(name, all);
    }
    return joined;
  }

  /** The first output for one preprocessed picture. */
  async answerTo(picture: Float32Array): Promise<Float32Array> {
    const { inputs, outputs, segments } = this.manifest;
    const all = await this.run(new Map([[inputs[0]!.name, picture]]), 1, 0, segments.length - 1);
    return all.get(outputs[0]!.name)!;
  }

  async #runBatch(inputs: Batch, count: number, first: number, last: number) {
    let values = new Map(inputs);
    for (let k = first; k <= last; k++) {
      const session = this.#sessions[k]!;
      const feeds = session.inputNames.map((name) => {
        const shape = this.shapeOf(name);
        const dims = this.#batched ? [count, ...shape.slice(1)] : shape;
        return [name, new OrtTensor('float32', values.get(name)!, dims as number[])] as const;
      });
      try {
        const results = await session.run(Object.fromEntries(feeds));
        values = new Map(
          session.outputNames.map((name) => [name, results[name]!.data as Float32Array] as const),
        );
      } catch (thrown) {
        throw IsthmusError.from(thrown, 'INFERENCE_FAILED', `Segment ${k} failed in onnxruntime-node.`);
      }
    }
    return values;
  }

  /** Elements of the feature at a cut, over all its tensors. */
  featureSize(cut: number): number {
    return this.manifest.cuts[cut]!.tensors.reduce((sum, t) => sum + elementCount(concreteShape(t)), 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.release()));
  }
}

/** The tensors at both ends and at the cuts. */
const endsOf = ({ inputs, cuts, outputs }: Manifest) => [
  ...inputs,
  ...cuts.flatMap((cut) => cut.tensors),
  ...outputs,
];
