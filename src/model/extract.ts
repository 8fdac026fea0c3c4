// Cuts one segment out of a model: the nodes between two cuts, the weights they need, typed ends. The result is an
// ordinary ONNX file; opset and weights are those of the whole.
import type { GraphProto, NodeProto } from 'onnx-buf';
import type { ModelGraph } from './graph.ts';
import type { TensorInfo } from './manifest.ts';
import { writeOnnx } from './onnx.ts';
import { valueInfo } from './tensorInfo.ts';

/** From this version on, initialisers need not be listed as inputs; segments never list them. */
const IR_WITHOUT_LISTED_WEIGHTS = 4n;

export interface Segment {
  bytes: Uint8Array<ArrayBuffer>;
  /** Indices into `graph.nodes`, constant nodes included. */
  nodes: readonly number[];
}

/**
 * The segment that computes `outputs` from `inputs`. Weights and constant nodes that several segments use are in each
 * of them; a tensor that is both input and output passes through.
 */
export function extractSegment(
  graph: ModelGraph,
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
  label: string,
): Segment {
  const given = new Set(inputs.map((t) => t.name));
  const seen = new Set<string>();
  const nodes = new Set<number>();
  const stack = outputs.map((t) => t.name);
  while (stack.length > 0) {
    const name = stack.pop()!;
    if (seen.has(name)) continue;
    seen.add(name);
    const node = given.has(name) ? undefined : graph.producer.get(name);
    if (node === undefined || nodes.has(node)) continue;
    nodes.add(node);
    stack.push(...graph.reads[node]!);
  }
  const order = [...nodes].sort((a, b) => a - b);
  const { model } = graph;
  const whole = model.graph;
  const ends = new Set([...given, ...outputs.map((t) => t.name)]);
  const inside = (name: string | undefined) => name !== undefined && seen.has(name) && !given.has(name);
  const segment: GraphProto = {
    ...whole,
    name: `${whole.name || 'model'}/${label}`,
    docString: '',
    metadataProps: [],
    node: order.map((i) => bare(graph.nodes[i]!)),
    initializer: whole.initializer.filter((t) => inside(t.name)),
    sparseInitializer: whole.sparseInitializer.filter((t) => inside(t.values?.name)),
    quantizationAnnotation: whole.quantizationAnnotation.filter((q) => inside(q.tensorName)),
    valueInfo: whole.valueInfo.filter((v) => inside(v.name) && !ends.has(v.name)),
    input: inputs.map(valueInfo),
    output: outputs.map(valueInfo),
  };
  const irVersion = model.irVersion < IR_WITHOUT_LISTED_WEIGHTS ? IR_WITHOUT_LISTED_WEIGHTS : model.irVersion;
  const bytes = writeOnnx({
    ...model,
    irVersion,
    graph: segment,
    docString: '',
    metadataProps: [],
    trainingInfo: [],
  });
  return { bytes, nodes: order };
}

/** Without the exporter's notes: stack traces with the paths of somebody's machine, at times larger than the layers. */
function bare(node: NodeProto): NodeProto {
  return node.docString || node.metadataProps.length > 0
    ? { ...node, docString: '', metadataProps: [] }
    : node;
}
