import { expect, it } from 'vitest';
import { nodeMacs } from './macs.ts';
import { node } from './testGraphs.fixture.ts';

const count = (op: string, shapes: Record<string, number[]>, attributes = {}) =>
  nodeMacs(node(op, 'a b', 'y', attributes), (name) => shapes[name]);

it.each<[string, Record<string, number[]>, object, number]>([
  ['Conv', { a: [1, 3, 8, 8], b: [16, 3, 3, 3], y: [1, 16, 8, 8] }, {}, 16 * 64 * 27],
  ['Conv', { a: [1, 16, 8, 8], b: [16, 1, 3, 3], y: [1, 16, 4, 4] }, { group: 16 }, 16 * 16 * 9], // depthwise
  ['ConvTranspose', { a: [1, 8, 4, 4], b: [8, 6, 2, 2], y: [1, 6, 8, 8] }, {}, 8 * 16 * 6 * 4],
  ['Gemm', { a: [2, 5], b: [5, 7], y: [2, 7] }, {}, 2 * 5 * 7],
  ['Gemm', { a: [5, 2], b: [5, 7], y: [2, 7] }, { transA: 1 }, 2 * 5 * 7],
  ['MatMul', { a: [3, 2, 5], b: [5, 7], y: [3, 2, 7] }, {}, 3 * 2 * 5 * 7],
  ['MatMul', { a: [5], b: [5], y: [] }, {}, 5],
  ['Relu', { a: [5], y: [5] }, {}, 0],
  ['toString', { a: [5], y: [5] }, {}, 0],
  ['Conv', { a: [1, 3, 8, 8], b: [16, 3, 3, 3] }, {}, 0], // output shape unknown
])('%s %j', (op, shapes, attributes, macs) => {
  expect(count(op, shapes, attributes)).toBe(macs);
});

it('reads the weight of a quantised convolution from its fourth input', () => {
  const shapes: Record<string, number[]> = { x: [1, 3, 8, 8], w: [16, 3, 3, 3], y: [1, 16, 8, 8] };
  expect(nodeMacs(node('QLinearConv', 'x xs xz w ws wz ys yz', 'y'), (name) => shapes[name])).toBe(
    16 * 64 * 27,
  );
});
