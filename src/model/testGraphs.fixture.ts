// Small ONNX models built in memory, for tests. No part of the library.
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { ELEMENT, typed } from './tensorInfo.ts';

export const FLOAT = ELEMENT.float32;
export const INT64 = ELEMENT.int64;

type AttributeValue = number | readonly number[] | string | TensorProto | GraphProto;

function attribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number')
    return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: new TextEncoder().encode(value) });
  }
  if (Array.isArray(value)) {
    return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(BigInt) });
  }
  return '$typeName' in value && value.$typeName === 'onnx.GraphProto'
    ? create(AttributeProtoSchema, { name, type: Kind.GRAPH, g: value })
    : create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: value as TensorProto });
}

/** `node('Conv', 'x w', 'y', { group: 2 })`: names are separated by spaces, '_' stands for an absent one. */
export function node(
  opType: string,
  inputs: string,
  outputs: string,
  attributes: Record<string, AttributeValue> = {},
  domain = '',
): NodeProto {
  const names = (text: string) =>
    text
      .split(' ')
      .filter(Boolean)
      .map((name) => (name === '_' ? '' : name));
  return create(NodeProtoSchema, {
    opType,
    domain,
    input: names(inputs),
    output: names(outputs),
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });
}

/** An end of a graph; without a shape its type is left open. */
export function value(
  name: string,
  shape?: readonly (number | string)[],
  elemType: number = FLOAT,
): ValueInfoProto {
  return shape ? typed(name, elemType, shape) : create(ValueInfoProtoSchema, { name });
}

/** A float32 weight with values that differ from each other. */
export function weight(name: string, dims: readonly number[]): TensorProto {
  const size = dims.reduce((a, b) => a * b, 1);
  const values = Float32Array.from(
    { length: size },
    (_, i) => Math.sin(i * 1.7 + name.length) / Math.sqrt(size),
  );
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: FLOAT,
    rawData: new Uint8Array(values.buffer),
  });
}

/** An int64 constant. */
export function integers(name: string, values: readonly number[], dims = [values.length]): TensorProto {
  const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: INT64, rawData });
}

export interface GraphParts {
  nodes: NodeProto[];
  inputs: ValueInfoProto[];
  outputs: ValueInfoProto[];
  weights?: TensorProto[];
}

export function graph({ nodes, inputs, outputs, weights = [] }: GraphParts): GraphProto {
  return create(GraphProtoSchema, {
    name: 'g',
    node: nodes,
    input: inputs,
    output: outputs,
    initializer: weights,
  });
}

/** The bytes of a model; `change` may damage it on purpose. */
export function model(
  parts: GraphParts,
  { opset = 13, ir = 8, change }: { opset?: number; ir?: number; change?: (m: ModelProto) => void } = {},
): Uint8Array<ArrayBuffer> {
  const proto = create(ModelProtoSchema, {
    irVersion: BigInt(ir),
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    graph: graph(parts),
  });
  change?.(proto);
  return toBinary(ModelProtoSchema, proto);
}

/** Conv → Relu twice, pooling, flatten, classifier: the shape of every image network, in miniature. */
export function tinyNet(options: { batch?: number | string; opset?: number } = {}): Uint8Array<ArrayBuffer> {
  const { batch = 'N', opset = 13 } = options;
  return model(
    {
      nodes: [
        node('Conv', 'x w1', 'c1', { strides: [2, 2], pads: [1, 1, 1, 1] }),
        node('Relu', 'c1', 'r1'),
        node('Conv', 'r1 w2', 'c2', { pads: [1, 1, 1, 1] }),
        node('Relu', 'c2', 'r2'),
        node('MaxPool', 'r2', 'p', { kernel_shape: [2, 2], strides: [2, 2] }),
        node('Conv', 'p w3', 'c3', { pads: [1, 1, 1, 1] }),
        node('Add', 'c3 p', 'sum'),
        node('GlobalAveragePool', 'sum', 'gap'),
        node('Flatten', 'gap', 'flat'),
        node('Gemm', 'flat w4 bias', 'logits', { transB: 1 }),
      ],
      inputs: [value('x', [batch, 3, 16, 16])],
      outputs: [value('logits', [batch, 5])],
      weights: [
        weight('w1', [4, 3, 3, 3]),
        weight('w2', [6, 4, 3, 3]),
        weight('w3', [6, 6, 3, 3]),
        weight('w4', [5, 6]),
        weight('bias', [5]),
      ],
    },
    { opset },
  );
}
