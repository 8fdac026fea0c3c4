// When an early exit is sure enough: confidence, margin or entropy of its answer against a calibrated threshold. Shared leaf: the
// head asks it of every picture, `isthmus calibrate --exits` of those it fits the threshold to.
import type { Tensor, Tensors } from '../tensor.ts';
import type { ExitInfo, ExitRule, Manifest } from './manifestSchema.ts';
import { fromHalf, probabilities } from './topLabels.ts';

export const EXIT_RULES: readonly ExitRule[] = ['confidence', 'margin', 'entropy'];

/**
 * Class probabilities of an answer: of the labelled output, else of the first one taken as logits.
 * @returns undefined where they are none: the output is absent, is not one row of classes, or holds NaN or infinity
 */
export function answerOf(
  { postprocess, outputs }: Pick<Manifest, 'postprocess' | 'outputs'>,
  answer: Tensors,
): Float64Array | undefined {
  const output = answer[postprocess?.output ?? outputs[0]!.name];
  if (!output || output.shape.filter((dim) => dim !== 1).length > 1 || !countable(output)) return undefined;
  const p = probabilities(output, postprocess?.scores ?? 'softmax');
  return Math.abs(p.reduce((a, b) => a + b, 0) - 1) < 1e-3 ? p : undefined;
}

/** A logit may be minus infinity, which rules a class out; softmax passes over the rest, and the classes left would look sure. */
function countable({ dtype, data }: Tensor): boolean {
  const number = (x: number | bigint | undefined) => (dtype === 'float16' ? fromHalf(Number(x)) : Number(x));
  for (let i = 0; i < data.length; i++) {
    const x = number(data[i]);
    if (Number.isNaN(x) || x === Number.POSITIVE_INFINITY) return false;
  }
  return true;
}

/**
 * How sure an answer is by a rule: confidence and margin in 0…1, entropy in nats.
 * @example exitValue('margin', Float64Array.of(0.1, 0.7, 0.2)); // 0.5
 */
export function exitValue(rule: ExitRule, p: Float64Array): number {
  if (rule === 'entropy') return p.reduce((sum, x) => (x > 0 ? sum - x * Math.log(x) : sum), 0);
  let [first, second] = [0, 0];
  for (const x of p) {
    if (x > first) [first, second] = [x, first];
    else if (x > second) second = x;
  }
  return rule === 'margin' ? first - second : first;
}

/** Whether a value by a rule is enough. NaN never is. */
export function isEnough(
  { rule, value }: Pick<NonNullable<ExitInfo['threshold']>, 'rule' | 'value'>,
  found: number,
) {
  return rule === 'entropy' ? found <= value : found >= value;
}

/** The rule by which an exit that has no threshold yet says how sure it is. */
const UNCALIBRATED: ExitRule = 'confidence';

export interface ExitVerdict {
  rule: ExitRule;
  value: number;
  /** Whether the answer may stand. */
  enough: boolean;
}

/** What an exit's answer is worth; undefined where it is none. */
export function judge(
  manifest: Pick<Manifest, 'postprocess' | 'outputs'>,
  { threshold }: Pick<ExitInfo, 'threshold'>,
  answer: Tensors,
): ExitVerdict | undefined {
  const p = answerOf(manifest, answer);
  if (!p) return undefined;
  const rule = threshold?.rule ?? UNCALIBRATED;
  const value = exitValue(rule, p);
  return { rule, value, enough: threshold !== undefined && isEnough(threshold, value) };
}
