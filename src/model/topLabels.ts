// Scores with names: turns a labelled model's output into the best few classes. Shared leaf: clients name the answer
// of any plan, the tail names the one it gives as JSON.
import type { Tensor, Tensors } from '../tensor.ts';
import type { Manifest } from './manifest.ts';

export interface Label {
  index: number;
  label: string;
  /** Probability, 0…1. */
  score: number;
}

/**
 * The `count` best labels, best first, ties to the lowest index; nothing for models without labels.
 * `softmax` in the manifest means that the output holds logits.
 */
export function topLabels(
  manifest: Pick<Manifest, 'labels' | 'postprocess'>,
  outputs: Tensors,
  count = 5,
): Label[] | undefined {
  const { labels, postprocess } = manifest;
  const output = postprocess && outputs[postprocess.output];
  if (!labels || !output) return undefined;
  const scores = probabilities(output, postprocess.scores);
  return Array.from(scores, (score, index) => ({ index, label: labels[index] ?? `#${index}`, score }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, count);
}

/** Scores of one answer as probabilities; `softmax` means that they are logits. */
export function probabilities(output: Tensor, kind: 'softmax' | 'none'): Float64Array {
  const scores = toNumbers(output);
  if (kind === 'softmax') softmax(scores);
  return scores;
}

/** In place; the largest logit is subtracted first so that nothing overflows. NaN logits count as never. */
function softmax(x: Float64Array): void {
  let largest = -Infinity;
  for (const v of x) if (v > largest) largest = v;
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    const v = x[i]!;
    // Infinity - Infinity is NaN: logits at the largest value share the whole.
    x[i] = v === largest ? 1 : Number.isNaN(v) ? 0 : Math.exp(v - largest);
    sum += x[i]!;
  }
  if (sum > 0) for (let i = 0; i < x.length; i++) x[i] = x[i]! / sum;
}

function toNumbers({ dtype, data }: Tensor): Float64Array {
  const out = new Float64Array(data.length);
  for (let i = 0; i < out.length; i++) {
    out[i] = dtype === 'float16' ? fromHalf(data[i] as number) : Number(data[i]);
  }
  return out;
}

/** IEEE 754 binary16 from its bits. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
