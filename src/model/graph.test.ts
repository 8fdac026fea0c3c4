import { describe, expect, it } from 'vitest';
import { buildGraph } from './graph.ts';
import { readOnnx } from './onnx.ts';
import { type GraphParts, graph, integers, model, node, value, weight } from './testGraphs.fixture.ts';

const build = (parts: GraphParts) => buildGraph(readOnnx(model(parts)));
const ops = (parts: GraphParts) => build(parts).nodes.map((n) => n.opType);

describe('buildGraph', () => {
  it('takes initialisers out of the inputs', () => {
    const found = build({
      nodes: [node('Add', 'x w', 'y')],
      inputs: [value('x', [2]), value('w', [2])],
      outputs: [value('y')],
      weights: [weight('w', [2])],
    });
    expect(found.inputs.map((i) => i.name)).toEqual(['x']);
    expect(found.constants.has('w')).toBe(true);
  });

  it('puts nodes in order and keeps an order that is right', () => {
    const nodes = [
      node('Relu', 'x', 'a'),
      node('Exp', 'x', 'b'),
      node('Neg', 'b', 'c'),
      node('Add', 'a c', 'y'),
    ];
    const ends = { inputs: [value('x', [2])], outputs: [value('y')] };
    expect(ops({ nodes, ...ends })).toEqual(['Relu', 'Exp', 'Neg', 'Add']);
    expect(ops({ nodes: nodes.toReversed(), ...ends })).toEqual(['Relu', 'Exp', 'Neg', 'Add']);
  });

  it('drops nodes and inputs that no output needs', () => {
    const found = build({
      nodes: [node('Relu', 'x', 'y'), node('Exp', 'x', 'unused'), node('Add', 'unused z', 'alsoUnused')],
      inputs: [value('x', [2]), value('z', [2])],
      outputs: [value('y')],
    });
    expect(found.nodes.map((n) => n.opType)).toEqual(['Relu']);
    expect(found.inputs.map((i) => i.name)).toEqual(['x']);
  });

  it('knows which tensors no input can change', () => {
    const found = build({
      nodes: [
        node('Constant', '', 'k', { value: weight('', [2]) }),
        node('Add', 'k w', 'folded'),
        node('RandomNormalLike', 'w', 'noise'),
        node('Shape', 'x', 'shape'),
        node('Sum', 'x folded noise', 's'),
        node('Reshape', 's shape', 'y'),
      ],
      inputs: [value('x', [2])],
      outputs: [value('y')],
      weights: [weight('w', [2])],
    });
    expect([...found.constants].sort()).toEqual(['folded', 'k', 'w']);
  });

  it('sees what the bodies of If capture', () => {
    const body = (op: string) =>
      graph({ nodes: [node(op, 'hidden w', 'r')], inputs: [], outputs: [value('r', [2])] });
    const found = build({
      nodes: [
        node('Relu', 'x', 'hidden'),
        node('If', 'flag', 'y', { then_branch: body('Add'), else_branch: body('Mul') }),
      ],
      inputs: [value('x', [2]), value('flag', [], 9)],
      outputs: [value('y')],
      weights: [weight('w', [2])],
    });
    expect(found.reads[1]).toEqual(['flag', 'hidden', 'w']);
  });

  const one = { inputs: [value('x', [2])], outputs: [value('y')] };
  it.each<[string, GraphParts, RegExp]>([
    [
      'a tensor made twice',
      { nodes: [node('Relu', 'x', 'y'), node('Exp', 'x', 'y')], ...one },
      /'y' is made twice/,
    ],
    [
      'an input made again',
      { nodes: [node('Relu', 'x', 'x'), node('Exp', 'x', 'y')], ...one },
      /'x' is made twice/,
    ],
    [
      'a tensor from nowhere',
      { nodes: [node('Add', 'x gone', 'y')], ...one },
      /makes the tensor 'gone' that the Add/,
    ],
    ['an output from nowhere', { nodes: [node('Relu', 'x', 'z')], ...one }, /makes the output 'y'/],
    [
      'a cycle',
      { nodes: [node('Add', 'x b', 'a'), node('Relu', 'a', 'b'), node('Exp', 'b', 'y')], ...one },
      /waits for/,
    ],
  ])('refuses %s', (_, parts, message) => {
    expect(() => build(parts)).toThrow(expect.objectContaining({ code: 'MODEL_INVALID' }));
    expect(() => build(parts)).toThrow(message);
  });

  it('refuses a model whose outputs depend on no input', () => {
    const parts = { nodes: [node('Shape', 'w', 'y')], inputs: [value('x', [2])], outputs: [value('y')] };
    expect(() => build({ ...parts, weights: [integers('w', [1, 2])] })).toThrow(
      expect.objectContaining({ code: 'MODEL_UNSUPPORTED' }),
    );
  });

  it('orders ten thousand layers in a row without overflowing', () => {
    const nodes = Array.from({ length: 10_000 }, (_, i) => node('Relu', `t${i}`, `t${i + 1}`)).reverse();
    const found = build({ nodes, inputs: [value('t0', [1])], outputs: [value('t10000')] });
    expect(found.nodes[0]!.input).toEqual(['t0']);
    expect(found.nodes).toHaveLength(10_000);
  });
});
