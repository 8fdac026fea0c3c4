// `--cuts auto`: picks a few natural bottlenecks among all possible cuts. Sizes and work decide; nothing is run, so
// how well a feature compresses is unknown here and only guessed at ("after the activation").
import type { NodeProto } from 'onnx-buf';
import type { CutTensors } from './cuts.ts';
import { infoOf, type OpenModel, possibleCuts, rawBytes, type SizedCut } from './open.ts';

/** More cuts than this only make the first download of a client more piecemeal. */
const MOST_CUTS = 8;
/** A segment with less than this share of the work is not worth a cut of its own. */
const LEAST_WORK = 0.02;
/**
 * How much larger than the smallest earlier cut a later one may be. Deeper features are sparser and code smaller than
 * their raw size says, and a later cut takes work off the server.
 */
const LARGER = 2;
/** A tensor with less than this share of a cut's bytes (a shape, a length) does not make it a cut of several. */
const SMALL_TENSOR = 1 / 16;

/** Operators that only rearrange a feature; cutting behind them loses its geometry and gains nothing. */
const REARRANGING = new Set([
  'Cast',
  'Dropout',
  'Expand',
  'Flatten',
  'Identity',
  'Reshape',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/**
 * Natural bottlenecks: cuts smaller than their neighbours, smaller than the input where such exist, and not much larger
 * than any earlier one; at most eight, spread over the work. Empty when the model has none.
 */
export function naturalCuts(model: OpenModel): CutTensors[] {
  const narrow = localMinima(settle(possibleCuts(model), model.graph.nodes)).filter(
    (cut) => cut.share >= LEAST_WORK && 1 - cut.share >= LEAST_WORK,
  );
  const input = rawBytes(model.graph.inputs.map(({ name }) => infoOf(model, name)));
  const below = narrow.filter((cut) => cut.rawBytes < input);
  // Small inputs (CIFAR's 12 KiB) are below every feature; a codec still makes these smaller, so they are kept then.
  const kept = notMuchLarger(below.length > 0 ? below : narrow);
  return spread(kept).map((cut) => cut.tensors);
}

/**
 * Of neighbouring cuts of one size with no work between them (Conv → Relu → Reshape) keeps one: behind the last
 * operator that does more than rearrange. After an activation a feature has less entropy, and engines fuse the pair.
 */
function settle(cuts: readonly SizedCut[], nodes: readonly NodeProto[]): SizedCut[] {
  const settled: SizedCut[] = [];
  for (const cut of cuts) {
    const before = settled.at(-1);
    const same = before && before.rawBytes === cut.rawBytes && before.share === cut.share;
    if (!same) settled.push(cut);
    else if (!REARRANGING.has(nodes[cut.after]!.opType)) settled[settled.length - 1] = cut;
  }
  return settled;
}

function localMinima(cuts: readonly SizedCut[]): SizedCut[] {
  return cuts.filter(
    (cut, i) =>
      cut.rawBytes <= (cuts[i - 1]?.rawBytes ?? Infinity) &&
      cut.rawBytes <= (cuts[i + 1]?.rawBytes ?? Infinity),
  );
}

/** A cut through parallel branches is more to encode and to describe, so it must be the smallest so far. */
function notMuchLarger(cuts: readonly SizedCut[]): SizedCut[] {
  let smallest = Number.POSITIVE_INFINITY;
  return cuts.filter((cut) => {
    const large = cut.infos.filter((t) => rawBytes([t]) > cut.rawBytes * SMALL_TENSOR);
    const keep = large.length > 1 ? cut.rawBytes < smallest : cut.rawBytes <= smallest * LARGER;
    if (keep) smallest = Math.min(smallest, cut.rawBytes);
    return keep;
  });
}

/** Keeps the cuts that set a new record of smallness, then whatever lies farthest (in work) from those kept. */
function spread(cuts: readonly SizedCut[]): SizedCut[] {
  const apart = (cut: SizedCut, chosen: readonly SizedCut[]) =>
    Math.min(...chosen.map((other) => Math.abs(other.share - cut.share)), cut.share, 1 - cut.share);
  let smallest = Number.POSITIVE_INFINITY;
  const records = cuts.filter((cut) => {
    const record = cut.rawBytes < smallest;
    if (record) smallest = cut.rawBytes;
    return record;
  });
  const chosen = records.slice(-MOST_CUTS);
  const rest = cuts.filter((cut) => !chosen.includes(cut));
  while (chosen.length < MOST_CUTS && rest.length > 0) {
    const [best] = rest.toSorted((a, b) => apart(b, chosen) - apart(a, chosen) || a.after - b.after);
    if (apart(best!, chosen) < LEAST_WORK) break;
    rest.splice(rest.indexOf(best!), 1);
    chosen.push(best!);
  }
  return chosen.sort((a, b) => a.after - b.after);
}
