// OpenModel: a model read, put in order and measured: everything that choosing cuts and extracting segments needs.
// The common first half of `partition`, `inspect` and the benchmark.
import { bytesPerElement, elementCount } from '../tensor.ts';
import { type CutPoint, type CutTensors, headNodes, sweepCuts } from './cuts.ts';
import { type ExternalFiles, inlineExternalData } from './externalData.ts';
import { batchNames, type InputShapes, inferFacts, inputShapes } from './facts.ts';
import { buildGraph, type ModelGraph } from './graph.ts';
import { nodeMacs } from './macs.ts';
import { concreteShape, type TensorInfo } from './manifest.ts';
import { readOnnx } from './onnx.ts';
import type { ShapeProbe } from './probe.ts';
import { outputInfo, type TensorFacts, tensorInfo } from './tensorInfo.ts';

export interface OpenOptions {
  probe: ShapeProbe;
  /** Gives weights that lie beside the model (`external_data`). */
  external?: ExternalFiles;
  /** Fixes the shapes of inputs that the file leaves open. */
  shapes?: InputShapes;
}

export interface OpenModel {
  graph: ModelGraph;
  facts: TensorFacts;
  /** Names of symbolic dimensions that stand for the batch. */
  batch: ReadonlySet<string>;
  /** Multiply-accumulates per node of `graph.nodes`, for a batch of one. */
  macs: readonly number[];
}

/** @throws IsthmusError MODEL_INVALID, MODEL_UNSUPPORTED, SHAPE_UNKNOWN. */
export async function openModel(bytes: Uint8Array, options: OpenOptions): Promise<OpenModel> {
  const graph = buildGraph(await inlineExternalData(readOnnx(bytes), options.external));
  const shapes = inputShapes(graph, options.shapes);
  const facts = await inferFacts(graph, shapes, options.probe);
  const shapeOf = (name: string) => facts.get(name)?.shape?.map((d) => (typeof d === 'number' ? d : 1));
  const macs = graph.nodes.map((node) => nodeMacs(node, shapeOf));
  return { graph, facts, batch: batchNames(shapes), macs };
}

/** What the manifest says of a tensor. @throws MODEL_UNSUPPORTED, SHAPE_UNKNOWN. */
export const infoOf = (model: OpenModel, name: string): TensorInfo =>
  tensorInfo(model.facts, name, model.batch);

/** The model's outputs; their dimensions may be open. @throws MODEL_UNSUPPORTED, SHAPE_UNKNOWN. */
export const outputsOf = (model: OpenModel): TensorInfo[] =>
  model.graph.outputs.map(({ name }) => outputInfo(model.facts, name));

/** Bytes of tensors for a batch of one, uncompressed. */
export function rawBytes(tensors: readonly TensorInfo[]): number {
  return tensors.reduce((sum, t) => sum + elementCount(concreteShape(t)) * bytesPerElement(t.dtype), 0);
}

/** A position of the sweep whose tensors can cross, with what it costs and what lies before it. */
export interface SizedCut extends CutPoint {
  infos: readonly TensorInfo[];
  rawBytes: number;
  /** Share of the model's work before the cut, 0…1. */
  share: number;
}

/** Every possible cut in order, without those whose tensors have open shapes or types that cannot cross. */
export function possibleCuts(model: OpenModel): SizedCut[] {
  const work = workBefore(model);
  return sweepCuts(model.graph).flatMap((point) => {
    const infos = crossable(model, point.tensors);
    return infos ? [{ ...point, infos, rawBytes: rawBytes(infos), share: work[point.after]! }] : [];
  });
}

function crossable(model: OpenModel, tensors: CutTensors): TensorInfo[] | undefined {
  try {
    return tensors.map((name) => infoOf(model, name));
  } catch {
    return undefined; // such a cut is no candidate; naming it explicitly gives the reason
  }
}

/** Share of the work done once node i has run. A model without convolutions and products counts its nodes. */
function workBefore(model: OpenModel): number[] {
  const total = model.macs.reduce((a, b) => a + b, 0);
  const weights = total > 0 ? model.macs : model.macs.map(() => 1);
  const sum = weights.reduce((a, b) => a + b, 0);
  let done = 0;
  return weights.map((w) => {
    done += w;
    return done / sum;
  });
}

/** Multiply-accumulates before a cut. */
export function macsBefore(model: OpenModel, tensors: CutTensors): number {
  let sum = 0;
  for (const i of headNodes(model.graph, tensors)) sum += model.macs[i]!;
  return sum;
}
