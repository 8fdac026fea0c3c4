// partition: one ONNX model in, a chain of segment files and its manifest out. Runs in browsers and in Node; it
// touches neither disk nor network.
import { IsthmusError } from '../errors.ts';
import { naturalCuts } from './bottlenecks.ts';
import { type CutTensors, cutName, namedCuts } from './cuts.ts';
import { extractSegment } from './extract.ts';
import { labelsFor } from './labels.ts';
import {
  type Manifest,
  manifestId,
  parseManifest,
  type SegmentInfo,
  sha256Hex,
  type TensorInfo,
} from './manifest.ts';
import {
  infoOf,
  macsBefore,
  type OpenModel,
  type OpenOptions,
  openModel,
  outputsOf,
  rawBytes,
} from './open.ts';
import { preprocessFor } from './preprocess.ts';

/** Cuts by name: a tensor, several joined by '+', or a list; in any order. `auto` takes natural bottlenecks. */
export type CutChoice = 'auto' | readonly (string | readonly string[])[];

export interface PartitionOptions extends OpenOptions {
  /** The model's name at its endpoint: letters, digits, '.', '_', '-'. */
  name: string;
  cuts?: CutChoice;
  /** How pictures become the input; left out for models that take tensors. */
  preprocess?: 'imagenet' | 'symmetric' | object;
  /** One label per class, in the order of the first output's last dimension. */
  labels?: readonly string[];
}

export interface Partition {
  manifest: Manifest;
  /** Segment files by name, as the manifest lists them. */
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** Segments' ends: what goes in, what crosses each cut, what comes out. */
function stations(model: OpenModel, cuts: readonly CutTensors[]): TensorInfo[][] {
  const inputs = model.graph.inputs.map(({ name }) => infoOf(model, name));
  return [inputs, ...cuts.map((tensors) => tensors.map((name) => infoOf(model, name))), outputsOf(model)];
}

/** Extracts the chain that the cuts make: file k computes what crosses cut k from what crosses cut k-1. */
export function extractChain(
  model: OpenModel,
  cuts: readonly CutTensors[],
): {
  ends: TensorInfo[][];
  files: Map<string, Uint8Array<ArrayBuffer>>;
} {
  const ends = stations(model, cuts);
  const files = new Map(
    ends
      .slice(1)
      .map(
        (outputs, k) =>
          [`s${k}.onnx`, extractSegment(model.graph, ends[k]!, outputs, `s${k}`).bytes] as const,
      ),
  );
  return { ends, files };
}

/**
 * Splits a model into a chain of segments.
 *
 * @throws IsthmusError MODEL_INVALID, MODEL_UNSUPPORTED, SHAPE_UNKNOWN, CUT_INVALID, OPTION_INVALID; each names what
 * is wrong and what to do.
 */
export async function partitionModel(bytes: Uint8Array, options: PartitionOptions): Promise<Partition> {
  const model = await openModel(bytes, options);
  const choice = options.cuts ?? 'auto';
  const cuts = choice === 'auto' ? naturalCuts(model) : namedCuts(model.graph, choice);
  const { ends, files } = extractChain(model, cuts);

  const done = [0, ...cuts.map((cut) => macsBefore(model, cut)), model.macs.reduce((a, b) => a + b, 0)];
  const segments: SegmentInfo[] = [];
  for (const [file, content] of files) {
    const k = segments.length;
    segments.push({
      file,
      sha256: await sha256Hex(content),
      bytes: content.length,
      macs: done[k + 1]! - done[k]!,
      inputs: ends[k]!,
      outputs: ends[k + 1]!,
    });
  }
  const inputs = ends[0]!;
  const outputs = ends.at(-1)!;
  const described = {
    format: 'isthmus-manifest/1' as const,
    name: options.name,
    inputs,
    outputs,
    segments,
    cuts: cuts.map((tensors, k) => ({
      name: cutName(tensors),
      tensors: ends[k + 1]!,
      rawBytes: rawBytes(ends[k + 1]!),
    })),
    ...(options.preprocess ? { preprocess: preprocessFor(options.preprocess, inputs, outputs) } : {}),
    ...(options.labels ? labelsFor(options.labels, model.graph, outputs[0]!) : {}),
  };
  return { manifest: await checked({ ...described, id: await manifestId(described) }), files };
}

/** The schema has the last word; what it finds here can only come from an option. */
async function checked(manifest: Manifest): Promise<Manifest> {
  try {
    return await parseManifest(manifest);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new IsthmusError('OPTION_INVALID', `An option does not fit the manifest. ${reason}`, { cause });
  }
}
