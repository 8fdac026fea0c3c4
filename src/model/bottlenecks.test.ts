import { describe, expect, it } from 'vitest';
import { naturalCuts } from './bottlenecks.ts';
import { openModel } from './open.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { type GraphParts, model, node, value, weight } from './testGraphs.fixture.ts';

const natural = async (parts: GraphParts) => naturalCuts(await openModel(model(parts), { probe }));

/** A chain of 3×3 convolutions with the given channels on 16×16 pictures, each followed by `after`. */
function chain(channels: number[], after = ['Relu']): GraphParts {
  const parts: Required<GraphParts> = {
    nodes: [],
    weights: [],
    inputs: [value('x', ['N', 8, 16, 16])],
    outputs: [],
  };
  let [name, width] = ['x', 8];
  channels.forEach((next, i) => {
    parts.weights.push(weight(`w${i}`, [next, width, 3, 3]));
    parts.nodes.push(node('Conv', `${name} w${i}`, `c${i}`, { pads: [1, 1, 1, 1] }));
    [name, width] = [`c${i}`, next];
    for (const op of after) {
      parts.nodes.push(node(op, name, `${op.toLowerCase()}${i}`));
      name = `${op.toLowerCase()}${i}`;
    }
  });
  parts.outputs.push(value(name));
  return parts;
}

describe('naturalCuts', () => {
  it('takes narrow places behind the activation', async () => {
    expect(await natural(chain([16, 4, 16, 2, 16]))).toEqual([['relu1'], ['relu3']]);
  });

  it('does not go behind operators that only rearrange', async () => {
    expect(await natural(chain([16, 4, 16], ['Relu', 'Identity']))).toEqual([['relu1']]);
  });

  it('passes over places much wider than an earlier one', async () => {
    expect(await natural(chain([16, 2, 16, 6, 16]))).toEqual([['relu1']]);
  });

  it('takes what is narrowest when nothing is narrower than the input', async () => {
    expect(await natural(chain([32, 9, 32]))).toEqual([['relu1']]);
  });

  it('keeps at most eight, far apart, the first of each size among them', async () => {
    const channels = Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? 16 : i < 15 ? 4 : 3));
    const cuts = await natural(chain(channels));
    expect(cuts).toHaveLength(8);
    expect(cuts).toEqual(expect.arrayContaining([['relu1'], ['relu15']]));
    const positions = cuts.map(([name]) => Number(name!.slice(4)));
    const gaps = positions.slice(1).map((p, i) => p - positions[i]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(2);
    expect(Math.max(...gaps, 30 - positions.at(-1)!)).toBeLessThanOrEqual(7);
  });

  it('leaves no segment without work', async () => {
    const parts = chain([4, 16, 2]);
    parts.nodes.push(node('GlobalAveragePool', 'relu2', 'gap'), node('Flatten', 'gap', 'y'));
    parts.outputs = [value('y')];
    expect(await natural(parts)).toEqual([['relu0']]); // not relu2 or gap: nothing but pooling lies behind
  });

  it('prefers whole tensors to cuts through branches', async () => {
    const parts = chain([4, 16]);
    parts.nodes.push(
      node('Conv', 'relu1 v', 'left', { pads: [1, 1, 1, 1] }),
      node('Conv', 'relu1 v', 'right', { pads: [1, 1, 1, 1] }),
      node('Add', 'left right', 'y'),
    );
    parts.weights!.push(weight('v', [3, 16, 3, 3]));
    parts.outputs = [value('y')];
    expect(await natural(parts)).toEqual([['relu0']]);
  });
});
