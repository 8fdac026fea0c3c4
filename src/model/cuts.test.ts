import { describe, expect, it } from 'vitest';
import { cutAt, cutName, headNodes, namedCuts, sweepCuts } from './cuts.ts';
import { buildGraph } from './graph.ts';
import { readOnnx } from './onnx.ts';
import { type GraphParts, model, node, tinyNet, value, weight } from './testGraphs.fixture.ts';

const build = (parts: GraphParts) => buildGraph(readOnnx(model(parts)));
const tiny = buildGraph(readOnnx(tinyNet()));

/** x → a → {b, c} → join → y, where b is an output too. */
const branches = build({
  nodes: [
    node('Relu', 'x', 'a'),
    node('Exp', 'a', 'b'),
    node('Neg', 'a', 'c'),
    node('Add', 'b c', 'join'),
    node('Tanh', 'join', 'y'),
  ],
  inputs: [value('x', [2])],
  outputs: [value('y'), value('b')],
});

describe('sweepCuts', () => {
  it('finds the cut behind every layer, with the tensors that cross it', () => {
    expect(sweepCuts(tiny).map((cut) => cutName(cut.tensors))).toEqual([
      'c1',
      'r1',
      'c2',
      'r2',
      'p',
      'p+c3',
      'sum',
      'gap',
      'flat',
    ]);
  });

  it('carries early outputs and inputs that are needed late across every cut', () => {
    expect(sweepCuts(branches).map((cut) => cutName(cut.tensors))).toEqual(['a', 'a+b', 'b+c', 'b+join']);
    const late = build({
      nodes: [node('Relu', 'x', 'a'), node('Exp', 'a', 'b'), node('Add', 'b x', 'y')],
      inputs: [value('x', [2])],
      outputs: [value('y')],
    });
    expect(sweepCuts(late).map((cut) => cutName(cut.tensors))).toEqual(['x+a', 'x+b']);
  });

  it('counts constant nodes to neither side', () => {
    const found = build({
      nodes: [
        node('Relu', 'x', 'a'),
        node('Constant', '', 'k', { value: weight('', [2]) }),
        node('Add', 'a k', 'b'),
        node('Exp', 'b', 'y'),
      ],
      inputs: [value('x', [2])],
      outputs: [value('y')],
    });
    expect(sweepCuts(found).map((cut) => cutName(cut.tensors))).toEqual(['a', 'b']);
  });

  it('agrees with cutAt on every cut', () => {
    for (const found of [tiny, branches]) {
      for (const { tensors, after } of sweepCuts(found)) {
        const named = cutAt(found, tensors);
        expect(named.tensors).toEqual(tensors);
        expect(named.head.size).toBe(after + 1);
        expect(headNodes(found, tensors)).toEqual(named.head);
      }
    }
  });
});

describe('namedCuts', () => {
  it('puts cuts in order and completes them with what else must cross', () => {
    expect(namedCuts(tiny, ['gap', 'c3', 'r1'])).toEqual([['r1'], ['p', 'c3'], ['gap']]);
    expect(namedCuts(branches, ['c'])).toEqual([['a', 'c']]);
    expect(namedCuts(branches, ['c+b'])).toEqual([['b', 'c']]);
    expect(namedCuts(branches, [['b', 'c']])).toEqual([['b', 'c']]);
  });

  it.each<[string, (string | string[])[], RegExp]>([
    ['an unknown name, with near ones', ['r3'], /no tensor 'r3'; near it are .*r1/],
    ['a constant', ['w1'], /constant/],
    ['an input', ['x'], /no operation lies before 'x'/],
    ['the last output', ['logits'], /no operation lies behind 'logits'/],
    ['the same cut twice', ['r1', 'r1'], /'r1' is named twice/],
    ['a tensor that nothing behind the cut reads', ['c1+r1'], /reads 'c1'; that cut is r1/],
  ])('refuses %s', (_, cuts, message) => {
    expect(() => namedCuts(tiny, cuts)).toThrow(expect.objectContaining({ code: 'CUT_INVALID' }));
    expect(() => namedCuts(tiny, cuts)).toThrow(message);
  });

  it('refuses cuts on parallel branches', () => {
    expect(() => namedCuts(branches, ['b', 'c'])).toThrow(/parallel branches/);
  });

  it('takes a name that holds a plus sign as it is', () => {
    const plus = build({
      nodes: [node('Relu', 'x', 'a+b'), node('Exp', 'a+b', 'y')],
      inputs: [value('x', [2])],
      outputs: [value('y')],
    });
    expect(namedCuts(plus, ['a+b'])).toEqual([['a+b']]);
  });
});
