// The public surface of `isthmus/model`: split an ONNX model into a chain of segments, or look at where it could be
// split. Works in browsers and in Node; reads and writes no files (the command line does that).
import { type AttachExitOptions, type AttachedExit, attachExit as attachExitTo } from './attachExit.ts';
import { type AttachedTask, type AttachOptions, attachTask as attach } from './attachTask.ts';
import { naturalCuts } from './bottlenecks.ts';
import { cutName } from './cuts.ts';
import type { Manifest, TensorInfo } from './manifest.ts';
import { checkOpset } from './onnx.ts';
import { infoOf, type OpenOptions, openModel, outputsOf, possibleCuts } from './open.ts';
import { type Partition, type PartitionOptions, partitionModel } from './partition.ts';
import type { ShapeProbe } from './probe.ts';

export type { AttachExitOptions, AttachedExit } from './attachExit.ts';
export type { AttachedTask, AttachOptions } from './attachTask.ts';
export type { ExternalFiles } from './externalData.ts';
export type { Manifest, Preprocess, TensorInfo } from './manifest.ts';
export type { CutChoice, Partition } from './partition.ts';
export type { ShapeProbe } from './probe.ts';

type OptionalProbe<T extends { probe: ShapeProbe }> = Omit<T, 'probe'> & Partial<Pick<T, 'probe'>>;

/** onnxruntime-node in Node, onnxruntime-web (wasm) elsewhere; loaded on first use. */
async function defaultProbe(): Promise<ShapeProbe> {
  const inNode = typeof process !== 'undefined' && !!process.versions?.node;
  return inNode
    ? (await import('./probeNode.ts')).nodeShapeProbe
    : (await import('./probeWeb.ts')).webShapeProbe;
}

/**
 * Splits an ONNX model into segments and writes their manifest.
 *
 * Opsets 9 to 21; float or quantised; initialisers listed as inputs, shared or in files beside the model; one symbolic
 * batch dimension. Chained segments compute what the whole model computes.
 *
 * @param model the bytes of an .onnx file
 * @returns the manifest, and the segment files by the names it lists
 * @throws IsthmusError MODEL_INVALID, MODEL_UNSUPPORTED, SHAPE_UNKNOWN, CUT_INVALID or OPTION_INVALID
 * @example
 * const bytes = new Uint8Array(await file.arrayBuffer());
 * const { manifest, files } = await partition(bytes, { name: 'squeezenet', preprocess: 'imagenet' });
 * for (const cut of manifest.cuts) console.log(cut.name, cut.rawBytes);
 */
export async function partition(
  model: Uint8Array,
  options: OptionalProbe<PartitionOptions>,
): Promise<Partition> {
  return partitionModel(model, { ...options, probe: options.probe ?? (await defaultProbe()) });
}

/**
 * Gives a split model another tail, which requests can ask for beside or instead of its own (docs/tasks.md): an ONNX model whose
 * inputs are the tensors of a cut, or a tensor of the model itself.
 *
 * @returns the manifest with the task, and the files to put beside it
 * @throws IsthmusError OPTION_INVALID or CUT_INVALID, and as {@link partition}
 * @example const { manifest, files } = await attachTask(model, { name: 'scene', cut: 'neck1', onnx });
 */
export async function attachTask(
  model: Manifest,
  options: OptionalProbe<AttachOptions>,
): Promise<AttachedTask> {
  return attach(model, { ...options, probe: options.probe ?? (await defaultProbe()) });
}

/**
 * Gives a split model an early exit (docs/exits.md): an ONNX model from the tensors of a cut to the model's own outputs.
 *
 * @returns the manifest with the exit, under the same id, and the files to put beside it
 * @throws IsthmusError OPTION_INVALID or CUT_INVALID, and as {@link partition}
 * @example const { manifest, files } = await attachExit(model, { name: 'early', cut: 'neck1', onnx });
 */
export async function attachExit(
  model: Manifest,
  options: OptionalProbe<AttachExitOptions>,
): Promise<AttachedExit> {
  return attachExitTo(model, { ...options, probe: options.probe ?? (await defaultProbe()) });
}

/** A place where a model can be parted. */
export interface PossibleCut {
  /** What `cuts` of {@link partition} takes. */
  name: string;
  tensors: readonly TensorInfo[];
  /** Bytes of the uncompressed feature for a batch of one. */
  rawBytes: number;
  /** Share of the multiply-accumulates before the cut, 0…1. */
  share: number;
  /** Whether `cuts: 'auto'` would take it. */
  natural: boolean;
}

/** What a model is made of. */
export interface Inspection {
  opset: number;
  inputs: readonly TensorInfo[];
  outputs: readonly TensorInfo[];
  /** How often each operator occurs. */
  operators: Readonly<Record<string, number>>;
  /** Multiply-accumulates for a batch of one. */
  macs: number;
  /** In the order of computation. */
  cuts: readonly PossibleCut[];
}

/**
 * Lists a model's ends, operators and every possible cut, without splitting it.
 *
 * @throws IsthmusError as {@link partition}
 */
export async function inspect(
  model: Uint8Array,
  options: OptionalProbe<OpenOptions> = {},
): Promise<Inspection> {
  const open = await openModel(model, { ...options, probe: options.probe ?? (await defaultProbe()) });
  const natural = new Set(naturalCuts(open).map(cutName));
  const operators: Record<string, number> = {};
  for (const { opType } of open.graph.nodes) operators[opType] = (operators[opType] ?? 0) + 1;
  return {
    opset: checkOpset(open.graph.model),
    inputs: open.graph.inputs.map(({ name }) => infoOf(open, name)),
    outputs: outputsOf(open),
    operators,
    macs: open.macs.reduce((a, b) => a + b, 0),
    cuts: possibleCuts(open).map(({ tensors, infos, rawBytes, share }) => {
      const name = cutName(tensors);
      return { name, tensors: infos, rawBytes, share, natural: natural.has(name) };
    }),
  };
}
