// What the end of a model is taken for where its manifest does not say.
import { expect, test } from 'vitest';
import type { Manifest } from '../model/manifest.ts';
import { answerKind } from './answers.ts';

const manifest = { outputs: [{ name: 'y', dtype: 'float32', shape: ['N', 3] }] } as unknown as Manifest;

test('a row of numbers is logits, unless it is a distribution already', () => {
  expect(answerKind(manifest, Float32Array.of(3, -1, 0.5))).toEqual({ output: 'y', scores: 'softmax' });
  expect(answerKind(manifest, Float32Array.of(0.5, 0.25, 0.2))).toEqual({ output: 'y', scores: 'softmax' });
  expect(answerKind(manifest, Float32Array.of(0.7, 0.2999, 0.0001))).toEqual({ output: 'y', scores: 'none' });
});

test('what the manifest says counts, and planes of numbers are no classes', () => {
  const postprocess = { kind: 'labels', output: 'y', scores: 'softmax' } as const;
  expect(answerKind({ ...manifest, postprocess }, Float32Array.of(1, 0, 0)).scores).toBe('softmax');
  const planes = { ...manifest, outputs: [{ ...manifest.outputs[0]!, shape: ['N', 3, 8, 8] }] };
  expect(answerKind(planes, Float32Array.of(1, 0, 0)).scores).toBe('plain');
});
