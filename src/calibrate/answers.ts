// What the end of a model says, and how far two answers are apart: classes are compared as distributions, anything else
// as vectors. The distance decides how coarse a profile may be.
import type { Manifest } from '../model/manifest.ts';

export interface AnswerKind {
  /** Name of the output that is compared. */
  output: string;
  /** Logits, probabilities, or numbers that are neither. */
  scores: 'softmax' | 'none' | 'plain';
}

/**
 * The labelled output where the manifest names one; else the first output, as logits when it is one row of numbers, as
 * probabilities when `answer`, what a picture gave there, is a distribution: a second softmax would hide every loss.
 */
export function answerKind({ postprocess, outputs }: Manifest, answer?: Float32Array): AnswerKind {
  if (postprocess) return { output: postprocess.output, scores: postprocess.scores };
  const { name, shape } = outputs[0]!;
  if (shape.length !== 2) return { output: name, scores: 'plain' };
  return { output: name, scores: answer && isDistribution(answer) ? 'none' : 'softmax' };
}

const isDistribution = (row: Float32Array) =>
  row.every((x) => x >= 0) && Math.abs(row.reduce((a, b) => a + b, 0) - 1) < 1e-3;

/** Classes that the answers tell apart; undefined where they are no classes. */
export function classCount({ outputs }: Manifest, kind: AnswerKind): number | undefined {
  const { shape } = outputs.find(({ name }) => name === kind.output)!;
  if (!classifies(kind)) return undefined;
  return shape.filter((dim) => typeof dim === 'number').reduce((a, b) => a * b, 1);
}

/** Whether the answers have a best class. */
export const classifies = ({ scores }: AnswerKind): boolean => scores !== 'plain';

/** Class probabilities; plain numbers stay as they are. */
export function distribution(output: Float32Array, { scores }: AnswerKind): Float64Array {
  const p = Float64Array.from(output);
  if (scores === 'plain') return p;
  if (scores === 'softmax') {
    const largest = p.reduce((a, b) => Math.max(a, b), -Infinity);
    for (let i = 0; i < p.length; i++) p[i] = Math.exp(p[i]! - largest);
  }
  const sum = p.reduce((a, b) => a + b, 0);
  return p.map((x) => x / sum);
}

/**
 * Coordinates in which small squared distances are twice the Kullback–Leibler divergence: 2·√p. Plain numbers: the vector at
 * length 1.
 */
export function coordinates(p: Float64Array, kind: AnswerKind): Float64Array {
  if (kind.scores !== 'plain') return p.map((x) => 2 * Math.sqrt(x));
  const norm = Math.sqrt(p.reduce((sum, x) => sum + x * x, 0)) || 1;
  return p.map((x) => x / norm);
}

/** KL(p ‖ q) in nats; for plain numbers half the squared distance relative to p, which it resembles. */
export function divergence(p: Float64Array, q: Float64Array, { scores }: AnswerKind): number {
  let sum = 0;
  if (scores === 'plain') {
    let energy = 0;
    for (let i = 0; i < p.length; i++) {
      sum += (p[i]! - q[i]!) ** 2;
      energy += p[i]! ** 2;
    }
    return sum / (2 * energy || 1);
  }
  for (let i = 0; i < p.length; i++)
    if (p[i]! > 1e-12) sum += p[i]! * Math.log(p[i]! / Math.max(q[i]!, 1e-12));
  return Math.max(0, sum);
}

/** Index of the largest; the first on ties. */
export function best(p: Float64Array): number {
  return p.reduce((at, x, i) => (x > p[at]! ? i : at), 0);
}
