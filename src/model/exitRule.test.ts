// How sure an answer is, against figures that can be computed by hand.
import { expect, test } from 'vitest';
import type { Tensors } from '../tensor.ts';
import { answerOf, EXIT_RULES, exitValue, isEnough, judge } from './exitRule.ts';

const manifest = { outputs: [{ name: 'logits', dtype: 'float32' as const, shape: [1, 3] }] };
const answer = (...logits: number[]): Tensors => ({
  logits: { dtype: 'float32', shape: [1, logits.length], data: Float32Array.from(logits) },
});

test('the three values of one answer', () => {
  const p = answerOf(manifest, answer(Math.log(6), Math.log(3), Math.log(1)))!;
  expect(exitValue('confidence', p)).toBeCloseTo(0.6, 6);
  expect(exitValue('margin', p)).toBeCloseTo(0.3, 6);
  expect(exitValue('entropy', p)).toBeCloseTo(
    -0.6 * Math.log(0.6) - 0.3 * Math.log(0.3) - 0.1 * Math.log(0.1),
    6,
  );
  expect(exitValue('entropy', Float64Array.of(0, 1, 0))).toBe(0);
  expect(exitValue('margin', Float64Array.of(0.4, 0.4, 0.2))).toBe(0);
});

test('probabilities are not squashed twice, and halves are read as halves', () => {
  const labelled = {
    ...manifest,
    postprocess: { kind: 'labels', output: 'logits', scores: 'none' },
  } as const;
  expect([...answerOf(labelled, answer(0.5, 0.25, 0.25))!]).toEqual([0.5, 0.25, 0.25]);
  const halves: Tensors = { logits: { dtype: 'float16', shape: [1, 2], data: Uint16Array.of(0x3c00, 0) } };
  expect(answerOf(manifest, halves)![0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
});

test('thresholds hold at their value, and never for what is no answer', () => {
  for (const rule of EXIT_RULES) {
    expect(isEnough({ rule, value: 0.5 }, 0.5)).toBe(true);
    expect(isEnough({ rule, value: 0.5 }, rule === 'entropy' ? 0.51 : 0.49)).toBe(false);
    expect(isEnough({ rule, value: 0.5 }, Number.NaN)).toBe(false);
    const threshold = { rule, value: rule === 'entropy' ? 9 : 0, agreement: 1, coverage: 1 };
    expect(judge(manifest, { threshold }, answer(1, 2, 3))).toMatchObject({ rule, enough: true });
    expect(judge(manifest, { threshold }, answer(Number.NaN, Number.NaN, Number.NaN))).toBeUndefined();
    expect(judge(manifest, { threshold }, {})).toBeUndefined();
  }
  expect(judge(manifest, {}, answer(9, 0, 0))).toMatchObject({ rule: 'confidence', enough: false });
});

test('one NaN or infinity among the logits is no answer, and neither are two rows of classes', () => {
  const sure = { threshold: { rule: 'confidence', value: 0.5, agreement: 1, coverage: 1 } } as const;
  expect(judge(manifest, sure, answer(9, 0, 0))).toMatchObject({ enough: true });
  expect(judge(manifest, sure, answer(9, Number.NaN, 0))).toBeUndefined();
  expect(judge(manifest, sure, answer(Number.POSITIVE_INFINITY, 0, 0))).toBeUndefined();
  expect(judge(manifest, sure, answer(9, Number.NEGATIVE_INFINITY, 0))).toMatchObject({ enough: true });
  const half = (...bits: number[]): Tensors => ({
    logits: { dtype: 'float16', shape: [1, bits.length], data: Uint16Array.from(bits) },
  });
  expect(judge(manifest, sure, half(0x4880, 0, 0))).toMatchObject({ enough: true });
  expect(judge(manifest, sure, half(0x4880, 0x7e00, 0))).toBeUndefined();
  const rows = { logits: { ...answer(9, 0, 0, 0).logits!, shape: [2, 2] } };
  expect(judge(manifest, sure, rows)).toBeUndefined();
});
