// Labels and what to do with scores: what turns a model's first output into `[{ label, score }]` at the client.
import { IsthmusError } from '../errors.ts';
import type { ModelGraph } from './graph.ts';
import type { Manifest, TensorInfo } from './manifest.ts';

/** Operators behind which scores are probabilities already. */
const PROBABILITIES = new Set(['Softmax', 'Sigmoid']);
/** Operators that keep values as they are, looked through on the way back from the output. */
const TRANSPARENT = new Set(['Cast', 'Flatten', 'Identity', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze']);

/**
 * The manifest's entries for labels. Scores go through a softmax unless the model ends in one (or in a sigmoid).
 *
 * @throws IsthmusError OPTION_INVALID when their number is not the number of classes.
 */
export function labelsFor(
  labels: readonly string[],
  graph: ModelGraph,
  output: TensorInfo,
): Pick<Manifest, 'labels' | 'postprocess'> {
  const classes = output.shape.filter((d) => typeof d === 'number').reduce((a, b) => a * b, 1);
  if (classes !== labels.length) {
    throw new IsthmusError(
      'OPTION_INVALID',
      `There are ${labels.length} labels, but the output '${output.name}' [${output.shape}] has ${classes} scores. ` +
        'Give one label per score.',
    );
  }
  const scores = endsInProbabilities(graph, output.name) ? 'none' : 'softmax';
  return { postprocess: { kind: 'labels', output: output.name, scores }, labels: [...labels] };
}

function endsInProbabilities(graph: ModelGraph, tensor: string): boolean {
  let index = graph.producer.get(tensor);
  while (index !== undefined) {
    const node = graph.nodes[index]!;
    if (!TRANSPARENT.has(node.opType)) return PROBABILITIES.has(node.opType);
    index = graph.producer.get(node.input[0] ?? '');
  }
  return false;
}

/**
 * Reads a labels file: a JSON array of strings, or of objects with `name` (or `label`) and optionally `index`.
 *
 * @throws IsthmusError OPTION_INVALID.
 */
export function readLabels(json: unknown): string[] {
  if (!Array.isArray(json) || json.length === 0) throw unreadable();
  const labels: string[] = [];
  json.forEach((entry: unknown, position) => {
    const object = (typeof entry === 'object' ? entry : { name: entry }) as Record<string, unknown> | null;
    const text = object?.name ?? object?.label;
    const index = object?.index ?? position;
    if (typeof text !== 'string' || !Number.isInteger(index)) throw unreadable();
    labels[index as number] = text;
  });
  if (labels.length !== json.length || labels.includes(undefined as never)) throw unreadable();
  return labels;
}

const unreadable = () =>
  new IsthmusError(
    'OPTION_INVALID',
    'The labels cannot be read: give a JSON array of strings, or of objects with `name` and `index`, one per class.',
  );
