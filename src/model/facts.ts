// TensorFacts: element type and shape of every tensor of a graph, inferred without running it: all intermediates become
// untyped outputs and the engine that loads the model says what they are. No cuts are made here.
import { create } from '@bufbuild/protobuf';
import {
  type ModelProto,
  NodeProtoSchema,
  type TensorShapeProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { IsthmusError } from '../errors.ts';
import type { ModelGraph } from './graph.ts';
import { writeOnnx } from './onnx.ts';
import type { ProbedOutput, ShapeProbe } from './probe.ts';
import {
  type Dims,
  elementName,
  type TensorFact,
  type TensorFacts,
  typed,
  unknownShape,
} from './tensorInfo.ts';

/** ONNX's dimensions as ours; exporters write open ones as nothing, as 0 or as a negative number. */
function dimsOf(shape: TensorShapeProto | undefined): Dims | undefined {
  return shape?.dim.map(({ value }) => {
    if (value.case === 'dimValue') return value.value > 0n ? Number(value.value) : '';
    return value.case === 'dimParam' ? value.value : '';
  });
}

/** The name given to a batch dimension that the exporter left unnamed. */
const BATCH = 'N';

/** Input shapes as the model declares them, or as the caller fixed them. */
export type InputShapes = Readonly<Record<string, Dims>>;

/**
 * Reads declared input shapes: an open first dimension is the batch, whatever the exporter called it. Shapes that the
 * caller fixes must agree with what the file says.
 *
 * @throws IsthmusError OPTION_INVALID, MODEL_UNSUPPORTED for inputs that are no tensors, SHAPE_UNKNOWN.
 */
export function inputShapes(graph: ModelGraph, fixed: InputShapes = {}): InputShapes {
  for (const name of Object.keys(fixed)) {
    if (graph.inputs.some((input) => input.name === name)) continue;
    const names = graph.inputs.map((input) => input.name).join(', ');
    throw wrongShape(`there is no input '${name}', only ${names}`);
  }
  const shapes = graph.inputs.map((input) => {
    const declared = declaredShape(input);
    const wanted = Object.hasOwn(fixed, input.name) ? fixed[input.name] : declared;
    const agrees =
      !declared ||
      (declared.length === wanted?.length &&
        declared.every((d, i) => typeof d === 'string' || d === wanted[i]));
    if (!agrees) throw wrongShape(`[${wanted}] for '${input.name}' contradicts the model's [${declared}]`);
    if (!wanted) throw unknownShape(input.name);
    return [input.name, wanted] as const;
  });
  return Object.fromEntries(shapes);
}

const wrongShape = (what: string) =>
  new IsthmusError('OPTION_INVALID', `The shape cannot be fixed: ${what}. Correct --shape.`);

/** What the file says of an input's shape, with a name for an unnamed batch. */
function declaredShape(input: ValueInfoProto): Dims | undefined {
  const type = input.type?.value;
  if (type?.case !== 'tensorType') {
    throw new IsthmusError(
      'MODEL_UNSUPPORTED',
      `The input '${input.name}' is a ${type?.case?.replace('Type', '') ?? 'value without a type'}, not a tensor. ` +
        'Export the model with plain tensors as inputs.',
    );
  }
  return dimsOf(type.value.shape)?.map((d, axis) => (d === '' && axis === 0 ? BATCH : d));
}

/** The names that stand for the batch: those of the inputs' first dimensions. */
export function batchNames(shapes: InputShapes): Set<string> {
  return new Set(Object.values(shapes).flatMap((shape) => (typeof shape[0] === 'string' ? [shape[0]] : [])));
}

/**
 * Infers all tensors' facts. A dimension that stays open with a symbolic batch is asked for again with a batch of one.
 *
 * @throws IsthmusError from the probe; SHAPE_UNKNOWN for inputs whose other dimensions are open.
 */
export async function inferFacts(
  graph: ModelGraph,
  shapes: InputShapes,
  probe: ShapeProbe,
): Promise<TensorFacts> {
  const batch = batchNames(shapes);
  for (const [name, shape] of Object.entries(shapes)) {
    if (shape.some((d) => d === '' || (typeof d === 'string' && !batch.has(d))))
      throw unknownShape(name, shape);
  }
  const facts = await probeAll(graph, shapes, probe);
  const settled = (d: number | string) => typeof d === 'number' || batch.has(d);
  const open = [...facts.values()].some((f) => f.type && !f.shape?.every(settled));
  if (!open || batch.size === 0) return withDeclared(facts, graph);

  const ones = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, shape.map((d) => (typeof d === 'string' ? 1 : d))]),
  );
  const single = await probeAll(graph, ones, probe);
  for (const [name, fact] of facts) {
    const again = single.get(name)?.shape;
    if (!again || fact.shape?.every(settled)) continue;
    const same = fact.shape?.length === again.length ? fact.shape : again;
    facts.set(name, { ...fact, shape: same.map((d, axis) => (settled(d) ? d : (again[axis] ?? ''))) });
  }
  return withDeclared(facts, graph);
}

/** Outputs that inference left open get what the file declares; elsewhere declarations are often wrong and not read. */
function withDeclared(facts: Map<string, TensorFact>, graph: ModelGraph): TensorFacts {
  for (const { name, type } of graph.outputs) {
    const fact = facts.get(name);
    const declared = type?.value.case === 'tensorType' ? dimsOf(type.value.value.shape) : undefined;
    if (!fact || !declared || (fact.shape && fact.shape.length !== declared.length)) continue;
    facts.set(name, { ...fact, shape: declared.map((d, axis) => fact.shape?.[axis] || d) });
  }
  return facts;
}

async function probeAll(
  graph: ModelGraph,
  shapes: InputShapes,
  probe: ShapeProbe,
): Promise<Map<string, TensorFact>> {
  const names = [...graph.producer.keys()];
  const answers = await probe(writeOnnx(exposing(graph, shapes, names)));
  const facts = new Map(answers.map((o) => [o.name, factOf(o)]));
  for (const { name, type } of graph.inputs) {
    const element = type?.value.case === 'tensorType' ? elementName(type.value.value.elemType) : undefined;
    facts.set(name, { type: element, shape: shapes[name] });
  }
  for (const { name, dims, dataType } of graph.model.graph.initializer) {
    facts.set(name, { type: elementName(dataType), shape: dims.map(Number) });
  }
  await tellScalars(graph, shapes, probe, facts);
  return facts;
}

const factOf = (o: ProbedOutput): TensorFact => ({ type: o.isTensor ? o.type : undefined, shape: o.shape });

/** An unknown rank is reported like a scalar. The shape of the shape tells them apart: [0] for a scalar, [?] if unknown. */
async function tellScalars(
  graph: ModelGraph,
  shapes: InputShapes,
  probe: ShapeProbe,
  facts: Map<string, TensorFact>,
): Promise<void> {
  const doubtful = [...graph.producer.keys()].filter((name) => {
    const fact = facts.get(name);
    return fact?.type && fact.shape?.length === 0;
  });
  if (doubtful.length === 0) return;
  const ranks = doubtful.map((name) => `${name}/isthmus-rank`);
  const model = exposing(graph, shapes, ranks);
  const added = doubtful.map((name, i) =>
    create(NodeProtoSchema, { opType: 'Shape', input: [name], output: [ranks[i]!] }),
  );
  const answers = new Map(
    (
      await probe(writeOnnx({ ...model, graph: { ...model.graph!, node: [...model.graph!.node, ...added] } }))
    ).map((o) => [o.name, o.shape]),
  );
  doubtful.forEach((name, i) => {
    if (answers.get(ranks[i]!)?.[0] !== 0) facts.set(name, { ...facts.get(name)!, shape: undefined });
  });
}

/** The model with the given input shapes and `names` as untyped outputs; what the file says of others is dropped. */
function exposing(graph: ModelGraph, shapes: InputShapes, names: readonly string[]): ModelProto {
  const inner = graph.model.graph;
  return {
    ...graph.model,
    graph: {
      ...inner,
      node: [...graph.nodes],
      input: graph.inputs.map((input) => withShape(input, shapes[input.name]!)),
      output: names.map((name) => create(ValueInfoProtoSchema, { name })),
      valueInfo: [],
    },
  };
}

function withShape(input: ValueInfoProto, shape: Dims): ValueInfoProto {
  const type = input.type?.value;
  return type?.case === 'tensorType' ? typed(input.name, type.value.elemType, shape) : input;
}
