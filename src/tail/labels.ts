// The best classes of a labelled model, for the tail's JSON answers. Clients that speak frames do this themselves.
import type { Manifest } from '../model/manifest.ts';
import type { Tensors } from '../tensor.ts';

export interface ScoredLabel {
  index: number;
  label: string;
  /** Probability, 0…1. */
  score: number;
}

/** Best first, ties to the lowest index; nothing for models without labels or with scores that are not float32. */
export function bestLabels(manifest: Manifest, outputs: Tensors, count = 5): ScoredLabel[] | undefined {
  const { labels, postprocess } = manifest;
  const output = postprocess && outputs[postprocess.output];
  if (!labels || !postprocess || output?.dtype !== 'float32') return undefined;
  const values = output.data as Float32Array;
  const scores = postprocess.scores === 'softmax' ? softmax(values) : Array.from(values);
  return scores
    .map((score, index) => ({ index, label: labels[index] ?? `#${index}`, score }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, count);
}

/** The largest logit is subtracted first so that nothing overflows. */
function softmax(logits: Float32Array): number[] {
  let largest = -Infinity;
  for (const x of logits) if (x > largest) largest = x;
  const powers = Array.from(logits, (x) => Math.exp(x - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}
