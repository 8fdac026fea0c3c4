// Multiply-accumulates of a node, counted from shapes: the measure of how much of a model lies before a cut.
// Convolutions and matrix products only; everything else is small beside them.
import type { NodeProto } from 'onnx-buf';

type Shape = readonly number[];
/** Shape for a batch of one, or undefined where it is not known. */
export type ShapeOf = (tensor: string) => Shape | undefined;

const product = (dims: Shape) => dims.reduce((a, b) => a * b, 1);

function conv(x: number, w: number, groups: 'output' | 'input') {
  return (node: NodeProto, shapeOf: ShapeOf): number | undefined => {
    const weight = shapeOf(node.input[w] ?? '');
    const counted = shapeOf((groups === 'output' ? node.output[0] : node.input[x]) ?? '');
    // Weight is [M, C/group, k…] for Conv (one product of C/group·k… per output element) and [C, M/group, k…] for
    // ConvTranspose (M/group·k… per input element).
    return weight && counted && product(counted) * product(weight.slice(1));
  };
}

function matmul(a: number, b: number) {
  return (node: NodeProto, shapeOf: ShapeOf): number | undefined => {
    const left = shapeOf(node.input[a] ?? '');
    const right = shapeOf(node.input[b] ?? '');
    const out = shapeOf(node.output[0] ?? '');
    return left && right && out && product(out) * (left.at(-1) ?? 1);
  };
}

function gemm(node: NodeProto, shapeOf: ShapeOf): number | undefined {
  const a = shapeOf(node.input[0] ?? '');
  const out = shapeOf(node.output[0] ?? '');
  const transposed = node.attribute.some((attribute) => attribute.name === 'transA' && attribute.i === 1n);
  return a && out && product(out) * (a[transposed ? 0 : 1] ?? 1);
}

const COUNTERS: Readonly<Record<string, (node: NodeProto, shapeOf: ShapeOf) => number | undefined>> = {
  Conv: conv(0, 1, 'output'),
  ConvInteger: conv(0, 1, 'output'),
  QLinearConv: conv(0, 3, 'output'),
  ConvTranspose: conv(0, 1, 'input'),
  Gemm: gemm,
  MatMul: matmul(0, 1),
  MatMulInteger: matmul(0, 1),
  QLinearMatMul: matmul(0, 3),
};

/** Multiply-accumulates of a node for a batch of one; 0 where the operator has none or its shapes are unknown. */
export function nodeMacs(node: NodeProto, shapeOf: ShapeOf): number {
  // Functions inside a model may be called anything, `toString` too.
  return Object.hasOwn(COUNTERS, node.opType) ? (COUNTERS[node.opType]!(node, shapeOf) ?? 0) : 0;
}
