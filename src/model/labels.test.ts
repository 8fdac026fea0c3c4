import { describe, expect, it } from 'vitest';
import { readLabels } from './labels.ts';
import { partitionModel } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { type GraphParts, model, node, tinyNet, value } from './testGraphs.fixture.ts';

const options = { name: 'm', probe, labels: ['a', 'b', 'c', 'd', 'e'] };
const ends: Omit<GraphParts, 'nodes'> = { inputs: [value('x', ['N', 5])], outputs: [value('y')] };

describe('labels', () => {
  it('asks for a softmax of logits', async () => {
    const { manifest } = await partitionModel(tinyNet(), options);
    expect(manifest.labels).toEqual(options.labels);
    expect(manifest.postprocess).toEqual({ kind: 'labels', output: 'logits', scores: 'softmax' });
  });

  it('takes probabilities as they are, also behind an Identity', async () => {
    const nodes = [node('Softmax', 'x', 'p'), node('Identity', 'p', 'y')];
    const { manifest } = await partitionModel(model({ nodes, ...ends }), options);
    expect(manifest.postprocess?.scores).toBe('none');
  });

  it('refuses another number of labels than scores', async () => {
    await expect(partitionModel(tinyNet(), { ...options, labels: ['a', 'b'] })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/2 labels.*\[N,5\].*5 scores/),
    });
  });
});

describe('readLabels', () => {
  it('reads strings, and objects in any order', () => {
    expect(readLabels(['a', 'b'])).toEqual(['a', 'b']);
    expect(
      readLabels([
        { index: 1, name: 'b' },
        { index: 0, name: 'a' },
      ]),
    ).toEqual(['a', 'b']);
    expect(readLabels([{ label: 'a' }, { label: 'b' }])).toEqual(['a', 'b']);
  });

  it.each([
    [{}],
    [[]],
    [[1]],
    [[null]],
    [['a', {}]],
    [[{ index: 5, name: 'a' }]],
    [[{ index: -1, name: 'a' }]],
    ['a'],
  ])('refuses %j', (json) => {
    expect(() => readLabels(json)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  });
});
