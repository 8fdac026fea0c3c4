import { expect, test } from 'vitest';
import type { Tensor } from '../tensor.ts';
import type { Manifest } from './manifest.ts';
import { topLabels } from './topLabels.ts';

const manifest = (scores: 'softmax' | 'none', labels: string[] | undefined) =>
  ({ labels, postprocess: { kind: 'labels', output: 'y', scores } }) as unknown as Manifest;
const tensor = (values: number[]): Tensor => ({
  dtype: 'float32',
  shape: [1, values.length],
  data: Float32Array.from(values),
});

test('softmax of logits, best first, ties to the lowest index, at most five', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const top = topLabels(manifest('softmax', names), { y: tensor([0, 1, 3, 1, 0, -2]) })!;
  expect(top.map((l) => l.label)).toEqual(['c', 'b', 'd', 'a', 'e']);
  expect(top[0]).toMatchObject({ index: 2 });
  const sum = [0, 1, 3, 1, 0, -2].reduce((s, x) => s + Math.exp(x), 0);
  expect(top[0]!.score).toBeCloseTo(Math.exp(3) / sum, 12);
  expect(topLabels(manifest('softmax', names), { y: tensor([0, 1, 3, 1, 0, -2]) }, 6)).toHaveLength(6);
});

test('probabilities stay as they are', () => {
  const top = topLabels(manifest('none', ['a', 'b']), { y: tensor([0.25, 0.75]) });
  expect(top).toEqual([
    { index: 1, label: 'b', score: 0.75 },
    { index: 0, label: 'a', score: 0.25 },
  ]);
});

test('logits that overflow, or are not finite, give finite scores', () => {
  for (const logits of [
    [1e30, -1e30],
    [Infinity, 0],
    [Number.NaN, 2],
    [-Infinity, -Infinity],
  ]) {
    const top = topLabels(manifest('softmax', ['a', 'b']), { y: tensor(logits) })!;
    for (const { score } of top) expect(score, `${logits}`).toBeGreaterThanOrEqual(0);
    expect(top[0]!.score + top[1]!.score, `${logits}`).toBeCloseTo(1, 12);
  }
});

test('float16 patterns are read as numbers; classes without a name keep their index', () => {
  const y: Tensor = { dtype: 'float16', shape: [1, 4], data: Uint16Array.of(0x3800, 0x0001, 0x3400, 0x8000) };
  const top = topLabels(manifest('none', ['half']), { y })!;
  expect(top.map((l) => [l.label, l.score])).toEqual([
    ['half', 0.5],
    ['#2', 0.25],
    ['#1', 2 ** -24],
    ['#3', -0],
  ]);
});

test('models without labels have none', () => {
  expect(topLabels(manifest('none', undefined), { y: tensor([1]) })).toBeUndefined();
});
