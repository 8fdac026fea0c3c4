// The WebAssembly slicer encoder: byte for byte what codec/reference makes. Where it cannot run, and for what needs no speed
// (constants, no survivors, a refusal under `strict`), it gives nothing, and the encoder in codec/cpu does the work.
import { chooseWidth } from '../cpu/chooseWidth.ts';
import { type EncodedTensor, type SlicerPlan, survivorLimit, TENSOR_FLAGS } from '../params.ts';
import { fixedPoint, sharedExponent } from '../reference/float.ts';
import { blockSize, layOut, writeParams } from '../reference/slicerLayout.ts';
import { type Arena, MAX_ELEMENTS, withArena } from './arena.ts';
import { Classifier, type Span } from './classifier.ts';
import { ELEMENT_SLACK, loadElements } from './loadElements.ts';
import { packSections } from './packSections.ts';
import { RankedMagnitudes } from './rankedMagnitudes.ts';

/**
 * @param data float32 elements, row-major; not modified
 * @returns `undefined`: ask codec/cpu
 */
export function encodeSlicer(
  data: Float32Array,
  shape: readonly number[],
  plan: SlicerPlan,
): EncodedTensor | undefined {
  const total = data.length;
  if (total === 0 || total > MAX_ELEMENTS) return undefined;
  return withArena((arena) => {
    const source = arena.take(4 * total + ELEMENT_SLACK);
    const extent = loadElements(arena, data, plan.strict, source);
    if (!extent) return undefined;
    const limit = survivorLimit(total, plan.keepQ16);
    const ranked = new RankedMagnitudes(arena, source, total);
    const survivors =
      plan.asymmetryQ8 === 256
        ? Math.min(extent.nonzero, limit)
        : dropWeakest(arena, source, total, limit, plan.asymmetryQ8);
    if (survivors === 0) return undefined;

    // Blocks that are not empty come first; each spans from its first to its last rank.
    const sizes = Array.from({ length: plan.blocks }, (_, j) => blockSize(survivors, plan.blocks, j));
    const filled = sizes.filter((size) => size > 0);
    const lastRanks = filled.map((_, j) => filled.slice(0, j + 1).reduce((a, b) => a + b));
    const ends = ranked.at(filled.flatMap((size, j) => [lastRanks[j]! - size + 1, lastRanks[j]!]));
    const exponent = sharedExponent(ends[0]!.value);
    const spans = filled.map((size, j) => ({
      size,
      lo: fixedPoint(ends[2 * j + 1]!.value, exponent),
      hi: fixedPoint(ends[2 * j]!.value, exponent),
    }));
    const boundaries = filled.map((_, j) => ranked.boundary(lastRanks[j]!, ends[2 * j + 1]!));

    const classifier = new Classifier(arena, source, total, { exponent, boundaries, spans });
    const widths = fitWidths(classifier, spans, plan);
    classifier.run(widths);
    const blocks = sizes.map((_, j) =>
      j < filled.length
        ? { lo: spans[j]!.lo, hi: spans[j]!.hi, width: widths[j]! }
        : { lo: 0, hi: 0, width: 0 },
    );
    const header = { survivors, exponent, blocks };
    const signed = classifier.signed();
    const sections = layOut(total, header, signed);
    return {
      family: 'slicer',
      dtype: 'float32',
      shape,
      flags: extent.flags | (signed ? TENSOR_FLAGS.SIGNED : 0),
      params: writeParams(header, sections.mode),
      payload: packSections(arena, classifier, total, header, sections),
    };
  });
}

/**
 * ATKF for unequal weights: makes zeros of what does not survive.
 * @returns the number of survivors
 */
function dropWeakest(
  arena: Arena,
  source: number,
  total: number,
  limit: number,
  asymmetryQ8: number,
): number {
  const keys = arena.take(4 * total + ELEMENT_SLACK);
  const piece = arena.take(16);
  const ranked = new RankedMagnitudes(arena, keys, total); // grows the arena
  const { kernels } = arena;
  kernels.slicerKeys(source, total, asymmetryQ8, keys);
  kernels.extent(keys, total, piece);
  const nonzero = arena.words(piece, 4)[3]!;
  if (limit === 0 || nonzero <= limit) {
    kernels.slicerDrop(source, keys, 0, total, 1);
    return Math.min(nonzero, limit);
  }
  const { least, until } = ranked.boundary(limit, ranked.at([limit])[0]!);
  kernels.slicerDrop(source, keys, 0, until, least);
  kernels.slicerDrop(source, keys, until, total, least + 1);
  return limit;
}

/** ABQ: bits per code of every block. */
function fitWidths(classifier: Classifier, spans: readonly Span[], plan: SlicerPlan): number[] {
  const top = spans[0]!.hi;
  if (plan.mode === 'step') return spans.map(({ lo, hi, size }) => chooseWidth(hi - lo, size, top, plan));
  classifier.run(spans.map(() => 8));
  return spans.map(({ lo, hi, size }, j) => chooseWidth(hi - lo, size, top, plan, classifier.histogram(j)));
}
