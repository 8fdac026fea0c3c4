import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { FunctionProtoSchema, type NodeProto, SparseTensorProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { cutName, sweepCuts } from './cuts.ts';
import { randomFeeds, relativeDifference, runChain, runModel } from './node/chain.ts';
import { infoOf, openModel } from './open.ts';
import { extractChain } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import {
  type GraphParts,
  graph,
  integers,
  model,
  node,
  tinyNet,
  value,
  weight,
} from './testGraphs.fixture.ts';

/** Chains the model at every cut and at all cuts at once; returns the cuts' names. Throws where chain and whole differ. */
async function checkEveryCut(bytes: Uint8Array): Promise<string[]> {
  const open = await openModel(bytes, { probe });
  const feeds = randomFeeds(open.graph.inputs.map((input) => infoOf(open, input.name)));
  const whole = await runModel(bytes, feeds);
  const cuts = sweepCuts(open.graph).map((cut) => cut.tensors);
  for (const chain of [...cuts.map((cut) => [cut]), cuts]) {
    const chained = await runChain(extractChain(open, chain).files.values(), feeds);
    expect(Object.keys(chained).sort()).toEqual(Object.keys(whole).sort());
    expect(relativeDifference(whole, chained), chain.map(cutName).join(' | ')).toBeLessThanOrEqual(1e-5);
  }
  return cuts.map(cutName);
}

const pair = { inputs: [value('x', ['N', 4])], outputs: [value('y')] };

describe('chained segments equal the whole model', () => {
  it.each<[string, Uint8Array, string[]]>([
    ['a small network', tinyNet(), ['c1', 'r1', 'c2', 'r2', 'p', 'p+c3', 'sum', 'gap', 'flat']],
    ['opset 9', tinyNet({ opset: 9 }), ['c1', 'r1', 'c2', 'r2', 'p', 'p+c3', 'sum', 'gap', 'flat']],
    ['opset 21', tinyNet({ opset: 21 }), ['c1', 'r1', 'c2', 'r2', 'p', 'p+c3', 'sum', 'gap', 'flat']],
    [
      'a weight and a constant that several segments use',
      model({
        ...pair,
        nodes: [
          node('Constant', '', 'k', { value: weight('', [4]) }),
          node('Add', 'w k', 'both'),
          node('MatMul', 'x m', 'a'),
          node('Add', 'a both', 'b'),
          node('MatMul', 'b m', 'c'),
          node('Mul', 'c both', 'y'),
        ],
        weights: [weight('w', [4]), weight('m', [4, 4])],
      }),
      ['a', 'b', 'c'],
    ],
    [
      'initialisers listed as inputs, in an old file',
      model(
        {
          nodes: [node('MatMul', 'x m', 'a'), node('Relu', 'a', 'y')],
          inputs: [value('x', ['N', 4]), value('m', [4, 4])],
          outputs: [value('y')],
          weights: [weight('m', [4, 4])],
        },
        { opset: 9, ir: 3 },
      ),
      ['a'],
    ],
    [
      'an output that is read further on, and one made early',
      model({
        inputs: pair.inputs,
        outputs: [value('early', ['N', 4]), value('y'), value('late', ['N', 4])],
        nodes: [
          node('Relu', 'x', 'early'),
          node('Exp', 'early', 'a'),
          node('Neg', 'a', 'late'),
          node('Abs', 'late', 'y'),
        ],
      }),
      ['early', 'early+a', 'early+late'],
    ],
    [
      'an input that is needed late, and one handed straight to the end',
      model({
        nodes: [node('Relu', 'x', 'a'), node('Exp', 'a', 'b'), node('Add', 'b z', 'y')],
        inputs: [value('x', ['N', 4]), value('z', ['N', 4]), value('through', ['N', 2])],
        outputs: [value('y'), value('through', ['N', 2])],
      }),
      ['z+through+a', 'z+through+b'],
    ],
    [
      'a shape that crosses as int64',
      model({
        ...pair,
        nodes: [
          node('Relu', 'x', 'a'),
          node('Shape', 'a', 'shape'),
          node('Flatten', 'a', 'flat', { axis: 0 }),
          node('Exp', 'flat', 'e'),
          node('Reshape', 'e shape', 'y'),
        ],
      }),
      ['a', 'a+shape', 'shape+flat', 'shape+e'],
    ],
    [
      'outputs that are constants, stored and folded',
      model({
        inputs: pair.inputs,
        outputs: [value('y'), value('w', [4]), value('folded')],
        nodes: [node('Relu', 'x', 'a'), node('Tanh', 'w', 'folded'), node('Add', 'a w', 'y')],
        weights: [weight('w', [4])],
      }),
      ['a'],
    ],
    [
      'an input that nothing reads',
      model({
        inputs: [...pair.inputs, value('spare', ['N', 4])],
        outputs: pair.outputs,
        nodes: [node('Relu', 'x', 'a'), node('Exp', 'a', 'y')],
      }),
      ['a'],
    ],
    [
      'nodes without names, in reverse, among dead ones',
      model({
        ...pair,
        nodes: [
          node('Relu', 'b', 'y'),
          node('Exp', 'x', 'dead'),
          node('Neg', 'a', 'b'),
          node('Abs', 'x', 'a'),
        ],
      }),
      ['a', 'b'],
    ],
    [
      'a scalar that crosses',
      model({
        ...pair,
        nodes: [
          node('ReduceMax', 'x', 'most', { keepdims: 0 }),
          node('Neg', 'most', 'least'),
          node('Add', 'x least', 'y'),
        ],
      }),
      ['x+most', 'x+least'],
    ],
  ])('%s', async (_, bytes, names) => {
    expect(await checkEveryCut(bytes)).toEqual(names);
  });

  it('control flow whose bodies reach across the cut', async () => {
    const body = (op: string) =>
      graph({ nodes: [node(op, 'a w', 'r')], inputs: [], outputs: [value('r', ['N', 4])] });
    const bytes = model({
      ...pair,
      nodes: [
        node('Relu', 'x', 'a'),
        node('ReduceMax', 'a', 'most', { keepdims: 0 }),
        node('Greater', 'most limit', 'flag'),
        node('If', 'flag', 'b', { then_branch: body('Add'), else_branch: body('Mul') }),
        node('Neg', 'b', 'y'),
      ],
      weights: [weight('w', [4]), weight('limit', [])],
    });
    expect(await checkEveryCut(bytes)).toEqual(['a', 'a+most', 'a+flag', 'b']);
  });

  it('functions that the file defines itself', async () => {
    const bytes = model(
      { ...pair, nodes: [node('Relu', 'x', 'a'), node('Twice', 'a', 'b', {}, 'own'), node('Neg', 'b', 'y')] },
      {
        change(m) {
          m.opsetImport.push({ ...m.opsetImport[0]!, domain: 'own', version: 1n });
          m.functions.push(
            create(FunctionProtoSchema, {
              name: 'Twice',
              domain: 'own',
              input: ['v'],
              output: ['w'],
              node: [node('Add', 'v v', 'w')],
              opsetImport: [{ domain: '', version: 13n }],
            }),
          );
        },
      },
    );
    expect(await checkEveryCut(bytes)).toEqual(['a', 'b']);
  });

  it('weights that are stored sparse', async () => {
    const bytes = model(
      { ...pair, nodes: [node('Relu', 'x', 'a'), node('Add', 'a s', 'y')] },
      {
        change: (m) =>
          m.graph!.sparseInitializer.push(
            create(SparseTensorProtoSchema, {
              values: weight('s', [2]),
              indices: integers('at', [1, 3]),
              dims: [4n],
            }),
          ),
      },
    );
    expect(await checkEveryCut(bytes)).toEqual(['a']);
  });

  it('any graph (random graphs of up to twelve nodes)', async () => {
    const nodes = fc.array(fc.tuple(fc.nat(3), fc.nat(), fc.nat()), { minLength: 2, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(nodes, fc.nat(), async (picks, extra) => {
        const names = ['x', 'z', 'w'];
        const made: NodeProto[] = picks.map(([op, a, b], i) => {
          const [left, right] = [names[a % names.length]!, names[b % names.length]!];
          names.push(`t${i}`);
          return op === 0
            ? node('Tanh', left, `t${i}`)
            : node(['Add', 'Sub', 'Mul'][op - 1]!, `${left} ${right}`, `t${i}`);
        });
        const join = node('Sum', `x ${names.slice(-2).join(' ')}`, 'last');
        const outputs = [...new Set(['last', names[3 + (extra % picks.length)]!])];
        const parts: GraphParts = {
          nodes: [...made, join],
          inputs: [value('x', ['N', 4]), value('z', ['N', 4])],
          outputs: outputs.map((name) => value(name)),
          weights: [weight('w', [4])],
        };
        await checkEveryCut(model(parts));
      }),
      { numRuns: 25, seed: 7 },
    );
  });
});
