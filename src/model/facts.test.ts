import { describe, expect, it } from 'vitest';
import { openModel } from './open.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { FLOAT, INT64, model, node, tinyNet, value, weight } from './testGraphs.fixture.ts';

const shapeOf = async (bytes: Uint8Array, name: string) =>
  (await openModel(bytes, { probe })).facts.get(name)?.shape;

describe('inferFacts', () => {
  it('keeps a symbolic batch under its own name', async () => {
    expect(await shapeOf(tinyNet({ batch: 'batch_size' }), 'r2')).toEqual(['batch_size', 6, 8, 8]);
  });

  it('reads an input whose name every object knows', async () => {
    const parts = { inputs: [value('constructor', [1, 4])], outputs: [value('y')] };
    const bytes = model({ ...parts, nodes: [node('Relu', 'constructor', 'y')] });
    expect(await shapeOf(bytes, 'y')).toEqual([1, 4]);
  });

  it('calls a batch N that has no name, is zero or negative', async () => {
    for (const dim of ['', 0, -1])
      expect(await shapeOf(tinyNet({ batch: dim }), 'r2')).toEqual(['N', 6, 8, 8]);
  });

  it('keeps a batch that is fixed', async () => {
    expect(await shapeOf(tinyNet({ batch: 1 }), 'sum')).toEqual([1, 6, 4, 4]);
  });

  it('knows weights, and what constants fold to', async () => {
    const { facts } = await openModel(
      model({
        nodes: [node('Constant', '', 'k', { value: weight('', [2, 3]) }), node('MatMul', 'x k', 'y')],
        inputs: [value('x', [4, 2])],
        outputs: [value('y')],
      }),
      { probe },
    );
    expect(facts.get('k')).toEqual({ type: 'float32', shape: [2, 3] });
    expect((await openModel(tinyNet(), { probe })).facts.get('w1')).toEqual({
      type: 'float32',
      shape: [4, 3, 3, 3],
    });
  });

  it('tells a scalar from a tensor of unknown rank', async () => {
    const parts = {
      nodes: [
        node('ReduceMax', 'x', 'scalar', { keepdims: 0 }),
        node('Reshape', 'x target', 'any'),
        node('Add', 'any scalar', 'y'),
      ],
      inputs: [value('x', [4], FLOAT), value('target', ['M'], INT64)],
      outputs: [value('y')],
    };
    const { facts } = await openModel(model(parts), { probe });
    expect(facts.get('scalar')?.shape).toEqual([]);
    expect(facts.get('any')?.shape).toBeUndefined();
  });

  it('does not take types for tensors that are none', async () => {
    const parts = {
      nodes: [node('SequenceConstruct', 'x x', 'q'), node('ConcatFromSequence', 'q', 'y', { axis: 0 })],
      inputs: [value('x', [1, 4])],
      outputs: [value('y')],
    };
    expect((await openModel(model(parts), { probe })).facts.get('q')?.type).toBeUndefined();
  });
});

describe('declared outputs', () => {
  const parts = (declared: (number | string)[]) => ({
    nodes: [node('Relu', 'x', 'a'), node('NonZero', 'a', 'y')],
    inputs: [value('x', ['N', 4])],
    outputs: [value('y', declared, INT64)],
  });

  it('fill what inference leaves open', async () => {
    expect(await shapeOf(model(parts([2, 'found'])), 'y')).toEqual([2, 'found']);
  });

  it('are not believed where inference knows better', async () => {
    expect(await shapeOf(model(parts([7, 'found'])), 'y')).toEqual([2, 'found']);
    expect(await shapeOf(model(parts([1, 2, 3])), 'y')).toEqual([2, '']);
  });
});
